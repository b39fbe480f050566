"""Caches on this machine: versions of folders, views of them for steps, and their removal."""
