"""Cleanup: removes the containers, networks, image tags, processes and folders that jobs leave behind."""
