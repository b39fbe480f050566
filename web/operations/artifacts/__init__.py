"""The artifacts of a run: lists of them, one file, many as one archive, and files that a browser shows."""
