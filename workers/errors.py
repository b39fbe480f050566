"""Errors that users of the command line see."""


class StartError(Exception):
    """A command cannot do its work. The message is a sentence: what is wrong, and what to do."""
