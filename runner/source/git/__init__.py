"""Runs git: its processes and their limits, its requests to servers, what its failures mean."""
