"""What has fallen silent: sees by this machine's monotonic clock whether others go on.

The database's clock, or another machine's, may be an hour off, or be set while a lease runs. So no time that another
process wrote is compared with the time of now. Each renewal changes a row: what has not changed for the length of its
lease, while this process looked on, has fallen silent.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class SilenceWatch(Generic[T]):
    """Remembers since when values have been seen unchanged. To be called again and again, with all that there are."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._since_s: Mapping[T, float] = {}

    def forget(self) -> None:
        """Begins anew: from now on each value has the whole of its lease again."""
        self._since_s = {}

    def silent(self, values: Iterable[T], lease_s: Callable[[T], float]) -> list[T]:
        """Those of ``values`` that were seen, unchanged, for as long as their ``lease_s`` and longer."""
        now_s = self._monotonic_s()
        self._since_s = {value: self._since_s.get(value, now_s) for value in values}
        return [value for value, since_s in self._since_s.items() if now_s - since_s >= lease_s(value)]
