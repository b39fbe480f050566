"""Reports commit statuses to the forges."""
