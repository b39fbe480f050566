"""Fills the address pools of an engine, so that it cannot create another network, and frees them again."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from runner.docker.client import Engine
from runner.errors import NoAddressError
from tests.support.plans import secrets_hex

AT_ONCE = 4
LABEL = "headway-test.full"


class FilledEngine:
    """The networks that fill an engine's address pools."""

    def __init__(self, engine: Engine, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._mark = secrets_hex()
        self._labels = {LABEL: self._mark, **labels}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in range(AT_ONCE):
                pool.submit(self._fill)

    def _fill(self) -> None:
        with suppress(NoAddressError):
            while True:
                self._engine.create_network(f"headway-test-{secrets_hex()}", self._labels)

    @property
    def networks(self) -> list[str]:
        """The ids of those that still exist."""
        return [each["Id"] for each in self._engine.networks_labelled(f"{LABEL}={self._mark}")]

    def free(self) -> None:
        """Removes the networks."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._engine.remove_network, self.networks))


@contextmanager
def filled(engine: Engine, labels: Mapping[str, str] | None = None) -> Iterator[FilledEngine]:
    """Inside the block no network can be created on this machine."""
    full = FilledEngine(engine, labels or {})
    try:
        yield full
    finally:
        full.free()
