"""Steps that need not run again: what a step's result depends on, and records of earlier results."""
