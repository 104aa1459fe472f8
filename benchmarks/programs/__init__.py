"""The programs that are measured; each prints its figures as one JSON object."""
