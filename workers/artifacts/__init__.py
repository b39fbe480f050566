"""Kept artifacts: bytes in the blob store, one blob for each content of a repository, and rows that say where."""
