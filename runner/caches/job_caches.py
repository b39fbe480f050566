"""The caches of one job: which it may use, the keys of its steps, and the views that it has."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.plan import CommandsStep, PluginStep, Step
from runner.caches.keys import KeyResolver, Keys, ResolvedKey, as_values, from_values
from runner.caches.sharing import SharedCaches
from runner.caches.store import CacheStore, View, Wanted
from runner.caches.trimming import trim
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.errors import StepError

KEYS = "keys.json"


@dataclass(frozen=True)
class CacheAccess:
    """What a job may use: the versions of ``scope`` in the store, which has at most ``bytes_max`` (0: any number).

    An ``untrusted`` job reads them, and writes none; the text says why it is untrusted. ``shared`` has copies of
    versions of other machines.
    """

    store: CacheStore
    scope: str
    bytes_max: int = 0
    untrusted: str = ""
    shared: SharedCaches | None = None


class JobCaches:
    """The caches of a job whose folder is ``owner``. Without ``access`` it has none, and all calls do nothing."""

    def __init__(self, access: CacheAccess | None, owner: Path) -> None:
        self.access, self._owner = access, owner
        self._keys: Keys = {}
        self.kept: dict[tuple[str, str], Wanted] = {}  # by place and key, what steps have kept
        self._is_open = False

    def prepare(self, steps: Sequence[Step], resolver: KeyResolver) -> None:
        """Resolves the keys of all steps. Call it when the checkout is there, before any step runs. Raises OSError."""
        wanted = [step for step in steps if isinstance(step, CommandsStep | PluginStep) and step.caches]
        if self.access is None or not wanted:
            return
        self._keys = {step.number: tuple(map(resolver.resolve, step.caches)) for step in wanted}
        folder = self.access.store.open_job(self._owner)
        self._is_open = True
        (folder / KEYS).write_text(json.dumps(as_values(self._keys)))

    def resume(self) -> None:
        """Goes on where an earlier process of the job stood."""
        if self.access is None:
            return
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            text = (self.access.store.views_of(self._owner) / KEYS).read_text()
            self._keys = from_values(json.loads(text))
            self._is_open = True

    def keys_of(self, step: Step) -> tuple[ResolvedKey, ...]:
        """The keys of a step's caches, in their order; none where the job has no caches."""
        return self._keys.get(step.number, ())

    def open_view(self, access: CacheAccess, wanted: Wanted, *, empty: bool = False) -> View:
        """A view for a step, of nothing if it is to be ``empty``. Raises OSError."""
        return access.store.open_view(self._owner, wanted, empty=empty)

    def views_in(self, container: str) -> list[View]:
        """The views of a container that an earlier process of the job has started."""
        return self.access.store.views_with(self._owner, container) if self.access and self._is_open else []

    def close(self, engine: Engine) -> list[Exception]:
        """Removes the views, and what is too much in the store. Returns the errors; what is left is removed later."""
        if self.access is None or not self._is_open:
            return []
        store = self.access.store
        try:
            store.drop_views(self._owner)
            trim(store, self.access.bytes_max)
            store.remove_gone(partial(remove_tree, engine))
        except (StepError, OSError) as error:
            return [error]
        return []
