"""How the runner says what takes time beside the steps, to a caller who wants to know."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Timed = Callable[[str, str], AbstractContextManager[None]]
"""Called with what is done (``pull``, ``create``) and the name of the image, step or service: around it."""


def untimed(_what: str, _of: str) -> AbstractContextManager[None]:
    """For a caller who does not want to know."""
    return nullcontext()


def masked(timed: Timed, mask: Callable[[str], str]) -> Timed:
    """``timed``, which gets names without the secrets in them."""
    return lambda what, of: timed(what, mask(of))
