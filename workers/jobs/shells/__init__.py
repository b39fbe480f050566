"""Shells in the running steps of a job, for people in browsers."""
