"""Errors that a person at the command line sees."""


class StartError(Exception):
    """The program cannot do what it was asked. The message is a sentence: what is wrong, and what to do."""
