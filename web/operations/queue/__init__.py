"""The queue for people: all jobs that wait, why, and when they probably start."""
