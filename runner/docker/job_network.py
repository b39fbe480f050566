"""A job's network in the engine, and the sandbox containers whose network namespaces its steps join.

A container that joins an existing network namespace starts in half the time of one that gets an endpoint of its own.
So steps join a *sandbox*: a container that only holds a namespace on the job's network. Steps that run at the same time
get different sandboxes, so their ports never clash. If no sandbox was prestarted, the first step gets an endpoint of
its own: that is faster than a sandbox plus a step in it, and a job with one step needs no sandbox at all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from threading import Event, Lock

from pipelines.step_order import ancestors
from runner.docker.client import Engine
from runner.docker.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.docker.specs import ContainerSpec, Limits, job_labels
from runner.errors import NoAddressError, StepError
from runner.threads import in_background

RETRY_S = 1.0
_INTERFACE_CHARS_MAX = 15
SANDBOX_LIMITS = Limits(memory_bytes=16 * 1024 * 1024, pids=16)


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
    """The network of one attempt at a job, and the sandboxes on it. Safe to use from several threads."""

    def __init__(self, engine: Engine, key: str, attempt: int, bridge_prefix: str = "") -> None:
        """Creates nothing yet. With ``bridge_prefix`` the network's bridge has a name that begins so, for the rules of
        ``runner/network/host_guard.py``.
        """
        self._engine = engine
        self._labels = job_labels(key, attempt)
        self._sandboxes: list[str] = []
        self._pending: list[Future[str]] = []
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
        self._start(self.ensure)

    def prestart_sandbox(self) -> None:
        """Creates the network and a first sandbox in the background. Worth it if both are ready before step 1."""
        self._prestarted = self._start(self._create_sandbox)

    def _start(self, create: Callable[[], str]) -> Future[str]:
        started = in_background(create)
        self._pending.append(started)
        return started

    @property
    def has_prestarted_sandbox(self) -> bool:
        """True while a prestarted sandbox is ready, or being created, and no step has taken it."""
        return self._prestarted is not None

    def ensure(self) -> str:
        """Creates the network if it does not exist yet, and returns its name. Raises NoAddressError after the wait."""
        with self._lock:
            if not self._network_id:
                self._network_id = self._create_network()
        return self.name

    def _create_network(self) -> str:
        try:
            return self._engine.create_network(self.name, self._labels, self._bridge)
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
                return self._engine.create_network(self.name, self._labels, self._bridge)
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

    def take_sandbox(self) -> str:
        """The id of a running sandbox that no other step uses: the prestarted one, or a new one."""
        with self._lock:
            prestarted, self._prestarted = self._prestarted, None
        if prestarted:
            # It was created before `address_wait` was set, so it did not wait for an address.
            with suppress(NoAddressError):
                return prestarted.result()
        return self._create_sandbox()

    def _create_sandbox(self) -> str:
        ensure_sandbox_image(self._engine)
        spec = ContainerSpec(
            image=SANDBOX_IMAGE, labels=self._labels, network=self.ensure(), command=("/wait",), limits=SANDBOX_LIMITS
        )
        container = self._engine.create(spec)
        with self._lock:
            self._sandboxes.append(container)
        self._engine.start(container)
        return container

    def wait_for_pending(self) -> None:
        """Returns when nothing is being created in the background any more."""
        for pending in self._pending:
            # The step that needed it got the error.
            with suppress(StepError, OSError):
                pending.result()

    def release(self) -> tuple[frozenset[str], frozenset[str]]:
        """The ids of the sandboxes and of the network, for the caller to remove; ``close`` then has nothing to do."""
        self.wait_for_pending()
        sandboxes, networks = frozenset(self._sandboxes), frozenset([self._network_id] if self._network_id else ())
        self._sandboxes, self._network_id = [], ""
        return sandboxes, networks

    def close(self) -> None:
        """Removes the sandboxes and the network. Idempotent. All containers of steps must be gone."""
        self.wait_for_pending()
        while self._sandboxes:
            self._engine.remove(self._sandboxes[-1])
            self._sandboxes.pop()
        if self._network_id:
            self._engine.remove_network(self._network_id)
            self._network_id = ""


class SandboxAllocator:
    """Chooses the sandbox of each step. Only steps that never run at the same time share one, so ports never clash.

    A step gets the sandbox of a step that it runs after, even if that one still runs while the container is prestarted;
    or a sandbox whose step has ended; or a new one. The first step gets none, unless a sandbox was prestarted.
    """

    def __init__(self, network: JobNetwork, needs: Mapping[int, Sequence[int]]) -> None:
        self._network = network
        self._before = ancestors(needs)
        self._last_step: dict[str, int] = {}
        self._ended: set[int] = set()
        self._first = not network.has_prestarted_sandbox
        self._lock = Lock()

    def allocate(self, step: int) -> str:
        """The network mode of a step, by its number: a sandbox's namespace, or the job's network itself."""
        with self._lock:
            first, self._first = self._first, False
            for sandbox, last in self._last_step.items():
                if last in self._before[step] or last in self._ended:
                    self._last_step[sandbox] = step
                    return sandbox
        if first:
            return self._network.ensure()
        sandbox = f"container:{self._network.take_sandbox()}"
        with self._lock:
            self._last_step[sandbox] = step
        return sandbox

    def release(self, step: int) -> None:
        """The step has ended: another step may use its sandbox."""
        with self._lock:
            self._ended.add(step)
