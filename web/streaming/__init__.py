"""Server-sent events: changes of runs, and live logs."""
