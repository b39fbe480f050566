"""Beginning something that somebody will want soon."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def in_background(do: Callable[[], T]) -> Future[T]:
    """Calls ``do`` in a thread of its own. The future gives its answer, or raises what it raised."""
    pool = ThreadPoolExecutor(1, "background")
    begun = pool.submit(do)
    pool.shutdown(wait=False)
    return begun


def settle(begun: Future[T]) -> None:
    """Returns when it has ended, however it did."""
    wait([begun])
