"""A small bank: an HTTP service, its back office, a model server and a loan agent."""
