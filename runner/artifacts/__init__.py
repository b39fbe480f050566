"""Artifacts: which files a step keeps, where they are read, who keeps them, and how they come back."""
