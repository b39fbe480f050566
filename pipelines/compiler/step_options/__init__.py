"""Artifacts, caches, readiness, reports and resources of steps, from the workflow to the plan."""
