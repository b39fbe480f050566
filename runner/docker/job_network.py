"""A job's network in the engine. Each container of the job has an endpoint and a network namespace of its own."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from threading import Event, Lock

from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL, job_labels
from runner.errors import NoAddressError, StepError
from runner.threads import in_background

RETRY_S = 1.0
_INTERFACE_CHARS_MAX = 15


@dataclass(frozen=True)
class AddressWait:
    """What to do while the engine has no free address range for one more network.

    First ``remove_leftovers`` runs once: it removes the networks of dead jobs. Then creating the network is retried for
    up to ``timeout_s``, until other jobs have removed theirs. ``notify`` shows people that the job waits; ``check`` is
    called before each retry and may raise to end the wait.
    """

    timeout_s: float
    remove_leftovers: Callable[[], None]
    notify: Callable[[str], None]
    check: Callable[[], None]


class JobNetwork:
    """The network of one attempt at a job. Safe to use from several threads."""

    def __init__(self, engine: Engine, key: str, attempt: int, bridge_prefix: str = "") -> None:
        """Creates nothing yet. With ``bridge_prefix`` the network's bridge has a name that begins so, for the rules of
        ``runner/network/host_guard.py``.
        """
        self._engine = engine
        self._labels = job_labels(key, attempt)
        self._prestarted: Future[str] | None = None
        self._network_id = ""
        self._lock = Lock()
        self._closing = Event()
        self.name = f"headway-{key}-{attempt}"
        digest = sha256(self.name.encode()).hexdigest()
        self._bridge = f"{bridge_prefix}{digest}"[:_INTERFACE_CHARS_MAX] if bridge_prefix else ""
        self.address_wait: AddressWait | None = None

    def prestart(self) -> None:
        """Creates the network in the background, because steps will probably need it."""
        self._prestarted = in_background(self.ensure)

    def ensure(self) -> str:
        """Creates the network if it does not exist yet, and returns its name. Raises NoAddressError after the wait."""
        with self._lock:
            if not self._network_id:
                self._network_id = self._create_network()
        return self.name

    def resume(self) -> None:
        """Goes on with the network that an earlier process of this attempt made, if there is one."""
        with self._lock:
            self._network_id = self._find()

    def _find(self) -> str:
        found = self._engine.networks_labelled(f"{JOB_LABEL}={self._labels[JOB_LABEL]}")
        return next((str(each["Id"]) for each in found if each["Name"] == self.name), "")

    def _create(self) -> str:
        try:
            return self._engine.create_network(self.name, self._labels, self._bridge)
        except NoAddressError:
            raise
        except StepError:
            # The name is taken where an earlier process of this attempt died while the engine made the network.
            if found := self._find():
                return found
            raise

    def _create_network(self) -> str:
        try:
            return self._create()
        except NoAddressError:
            if self.address_wait is None:
                raise
            return self._retry_create_network(self.address_wait)

    def _retry_create_network(self, wait: AddressWait) -> str:
        deadline = time.monotonic() + wait.timeout_s
        wait.remove_leftovers()
        notified = False
        while True:
            try:
                return self._create()
            except NoAddressError as error:
                if time.monotonic() >= deadline or self._closing.is_set():
                    raise
                if not notified:
                    wait.notify(f"{error}. Waiting up to {wait.timeout_s:g} s for other jobs to remove their networks")
                    notified = True
            wait.check()
            self._closing.wait(RETRY_S)

    def stop_waiting(self) -> None:
        """Ends the wait for an address: the job is over."""
        self._closing.set()

    def wait_for_pending(self) -> None:
        """Returns when the network is not being created in the background any more."""
        if self._prestarted:
            # The step that needed it got the error.
            with suppress(StepError, OSError):
                self._prestarted.result()

    def release(self) -> frozenset[str]:
        """The id of the network if there is one, for the caller to remove; ``close`` then has nothing to do."""
        self.wait_for_pending()
        network, self._network_id = self._network_id, ""
        return frozenset([network] if network else ())

    def close(self) -> None:
        """Removes the network. Idempotent. All containers on it must be gone."""
        self.wait_for_pending()
        if self._network_id:
            self._engine.remove_network(self._network_id)
            self._network_id = ""
