"""Errors that users of the command line see."""


class StartError(Exception):
    """A command cannot do its work. The message is a sentence: what is wrong, and what to do."""


class NotYetError(StartError):
    """A command cannot do its work now. It may later, when others have done theirs: a process can wait for that."""
