"""Re-running a part of a run: which jobs run again, and how the others are carried over."""
