"""HTTP in, HTTP out: a window on what the workers do."""
