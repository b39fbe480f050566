"""Functions in other threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def in_this_context(do: Callable[[], T]) -> Callable[[], T]:
    """``do`` for another thread, with the context of this one: its log lines say which job they are about."""
    return partial(copy_context().run, do)


def in_background(do: Callable[[], T]) -> Future[T]:
    """Calls ``do`` in a thread of its own. The future has its result or its exception."""
    pool = ThreadPoolExecutor(1, "background")
    future = pool.submit(in_this_context(do))
    pool.shutdown(wait=False)
    return future


def wait_for(future: Future[T]) -> None:
    """Returns when the call has ended, whether it succeeded or not."""
    wait([future])
