"""Connects a repository with its forge, and checks the connection: webhook, clone, statuses."""
