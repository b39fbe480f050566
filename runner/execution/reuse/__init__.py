"""Decides for each step with sources whether an earlier result takes its place."""
