"""The worker: its process, and the way of one job from the claim over planning and execution to the recorded result."""
