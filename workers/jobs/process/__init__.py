"""The worker's process: its slots and their connections, draining, what it does without Redis."""
