"""One service of a job: its container, and whether it is ready."""
