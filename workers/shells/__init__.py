"""Shells in running steps: the messages between the web server and the worker that runs the step."""
