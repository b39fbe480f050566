"""Re-running a run, or a part of it."""
