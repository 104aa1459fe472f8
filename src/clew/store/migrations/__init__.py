"""Steps from each schema of the catalog to the next."""
