"""Plugins: their settings as an image gets them, and those that build and push as Headway's own steps."""
