"""The container of one step: how it is made, started and stopped, its script, and how it ended."""
