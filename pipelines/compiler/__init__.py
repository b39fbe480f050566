"""Compiles workflows and a trigger to a plan: conditions, step selection, dependencies, containers, image tags."""
