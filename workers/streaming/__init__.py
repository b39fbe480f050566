"""Live updates through Redis: the newest output of running steps, and notices of changed runs."""
