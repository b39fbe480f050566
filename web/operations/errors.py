"""Why an operation was refused. The edge turns these into an HTTP status or into an exit status."""


class OperationError(Exception):
    """The operation was refused and nothing was changed. The text is a sentence: what is wrong, and what to do."""


class NotFoundError(OperationError):
    """There is no repository, run, cron, secret ... of that name, or the user has no role that lets them see it."""


class ForbiddenError(OperationError):
    """The user sees what the operation is about, but may not do this."""


class ConflictError(OperationError):
    """The operation does not fit the state in which something is now, or the name is taken."""


class InvalidInputError(OperationError):
    """A name or a value cannot be used."""


class GoneError(OperationError):
    """It was there, and was deleted."""
