"""``headway shell``: a shell in what ``headway run --keep-on-failure`` has kept of a failed job."""
