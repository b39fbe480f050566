"""``headway run``: runs the pipeline of a folder on this machine."""
