"""What a person who starts a program is told."""


class StartError(Exception):
    """The program cannot do what it was asked. The message is a sentence: what is wrong, and what to do."""
