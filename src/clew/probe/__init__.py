"""What runs inside the observed process: standard library, model and format only."""
