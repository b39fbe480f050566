"""Pages about the whole installation: workers, queue, disk, settings."""
