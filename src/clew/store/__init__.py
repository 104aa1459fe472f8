"""Where recordings are kept and queried with SQL."""
