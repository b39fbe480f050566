"""Runs a function in a background thread, for a result that is needed soon."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def in_background(do: Callable[[], T]) -> Future[T]:
    """Calls ``do`` in a thread of its own. The future has its result or its exception."""
    pool = ThreadPoolExecutor(1, "background")
    future = pool.submit(do)
    pool.shutdown(wait=False)
    return future


def wait_for(future: Future[T]) -> None:
    """Returns when the call has ended, whether it succeeded or not."""
    wait([future])
