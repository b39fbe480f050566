"""Compose files: read key by key, and turned into steps of the workflow. Nothing is passed on that was not read."""
