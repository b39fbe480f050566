"""Reports of steps: results of tests and coverage from the files of common tools, whatever is in them."""
