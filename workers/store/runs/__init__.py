"""Runs, from the delivery to the commit status: queueing, planning, approval, superseding, and lists of runs."""
