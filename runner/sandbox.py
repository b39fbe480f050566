"""A job's place in the engine: its network, the namespaces its steps join, and its services.

A container that joins an existing network namespace starts in half the time of one that gets an endpoint of its own,
so steps join a *sandbox*: a container that does nothing but hold a namespace on the job's network. Steps that run at
the same time get a sandbox each, and so their ports never clash.
"""

import io
import platform
import struct
import tarfile
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from threading import Lock

from runner.engine import ContainerSpec, Engine, Limits

SANDBOX_REPO = "headway/sandbox"
SANDBOX_TAG = "1"
SANDBOX_IMAGE = f"{SANDBOX_REPO}:{SANDBOX_TAG}"
SANDBOX_LIMITS = Limits(memory_bytes=16 * 1024 * 1024, pids=16)

# A program that waits for ever: `pause()` on x86-64, `ppoll(0, 0, 0, 0)` on AArch64, in an endless loop. It is written
# out here so that a job needs no image from any registry but those that it names.
_CODE = {
    "x86_64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "aarch64": (183, bytes.fromhex("000080d2 010080d2 020080d2 030080d2 280980d2 010000d4 faffff17")),
}
_LOAD_ADDRESS = 0x400000


def sandbox_archive(machine: str) -> bytes:
    """A tar with one file, ``wait``: a static ELF program for ``machine`` that sleeps until it is killed."""
    elf_machine, code = _CODE[machine]
    header_size, program_size = 64, 56
    entry = _LOAD_ADDRESS + header_size + program_size
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", 2, elf_machine, 1, entry, header_size, 0, 0, header_size, program_size, 1, 0, 0, 0
    )
    size = header_size + program_size + len(code)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    data = ident + head + program + code
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        entry_info = tarfile.TarInfo("wait")
        entry_info.size, entry_info.mode = len(data), 0o755
        tar.addfile(entry_info, io.BytesIO(data))
    return archive.getvalue()


def ensure_sandbox_image(engine: Engine) -> None:
    """Makes the image of the sandbox, if the engine does not have it."""
    if engine.image(SANDBOX_IMAGE) is None:
        engine.import_image(sandbox_archive(platform.machine()), SANDBOX_REPO, SANDBOX_TAG)


class Sandboxes:
    """The network of one job and the namespaces on it. Everything carries ``labels``; ``close`` removes all of it."""

    def __init__(self, engine: Engine, name: str, labels: Mapping[str, str]) -> None:
        """Makes nothing yet: what the job needs first is made while its source is laid out."""
        self._engine = engine
        self._labels = labels
        self._made: list[str] = []
        self._network_id = ""
        self._lock = Lock()
        self.network = name

    def open(self) -> None:
        """Makes the network, if nobody has."""
        with self._lock:
            if not self._network_id:
                ensure_sandbox_image(self._engine)
                self._network_id = self._engine.create_network(self.network, self._labels)

    def make(self) -> str:
        """A running container that holds a namespace on the job's network."""
        self.open()
        spec = ContainerSpec(
            image=SANDBOX_IMAGE, labels=self._labels, network=self.network, command=("/wait",), limits=SANDBOX_LIMITS
        )
        container = self._engine.create(spec)
        with self._lock:
            self._made.append(container)
        self._engine.start(container)
        return container

    def close(self) -> None:
        """Removes the namespaces and the network. All containers of steps must be gone."""
        for container in self._made:
            self._engine.remove(container)
        if self._network_id:
            self._engine.remove_network(self._network_id)


class Lanes:
    """Which steps share a namespace: only such as never run at the same time, so that their ports never clash.

    A step joins the namespace of one that it comes after, though that one may still run while its container is made
    ready; or one that nobody uses any more; or a new one.
    """

    def __init__(self, sandboxes: Sandboxes, needs: Mapping[int, Sequence[int]]) -> None:
        self._sandboxes = sandboxes
        self._before = ancestors(needs)
        self._last: dict[str, int] = {}
        self._ended: set[int] = set()
        self._lock = Lock()

    def join(self, step: int) -> str:
        """The container whose namespace the step, by its number, joins."""
        with self._lock:
            for sandbox, last in self._last.items():
                if last in self._before[step] or last in self._ended:
                    self._last[sandbox] = step
                    return sandbox
        sandbox = self._sandboxes.make()
        with self._lock:
            self._last[sandbox] = step
        return sandbox

    def leave(self, step: int) -> None:
        """The step has ended."""
        with self._lock:
            self._ended.add(step)


def ancestors(needs: Mapping[int, Sequence[int]]) -> dict[int, frozenset[int]]:
    """For each step all that must have ended before it starts, given what it needs directly."""
    order = TopologicalSorter(needs).static_order()
    found: dict[int, frozenset[int]] = {}
    for step in order:
        direct = needs.get(step, ())
        found[step] = frozenset(direct).union(*(found[each] for each in direct))
    return found
