"""Shells in running steps, over WebSockets."""
