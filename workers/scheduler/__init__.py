"""The scheduler: what runs by the clock, one process at a time."""
