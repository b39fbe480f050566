"""Discovers pipeline files, reads each once per matrix cell, and validates it against the models."""
