"""The server: takes recordings in over HTTP, answers what is asked of them, serves the web page."""
