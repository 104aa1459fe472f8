"""A pipeline of threads, queues and worker processes that goes through a night's payment files."""
