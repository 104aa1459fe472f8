"""Pure functions from recorded values to answers: no clock, disk, network or logging."""
