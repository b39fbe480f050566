"""A job's place in the engine: its network, the namespaces its steps join, and its services.

A container that joins an existing network namespace starts in half the time of one that gets an endpoint of its own,
so steps join a *sandbox*: a container that does nothing but hold a namespace on the job's network. Steps that run at
the same time get a sandbox each, and so their ports never clash.
"""

import io
import platform
import struct
import tarfile
from collections.abc import Mapping
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
        self._engine = engine
        self._labels = labels
        self._free: list[str] = []
        self._all: list[str] = []
        self._lock = Lock()
        self.network = name
        ensure_sandbox_image(engine)
        self._network_id = engine.create_network(name, labels)

    def take(self) -> str:
        """The id of a running container whose namespace a step may join; nobody else has it until ``give_back``."""
        with self._lock:
            if self._free:
                return self._free.pop()
        spec = ContainerSpec(
            image=SANDBOX_IMAGE, labels=self._labels, network=self.network, command=("/wait",), limits=SANDBOX_LIMITS
        )
        container = self._engine.create(spec)
        with self._lock:
            self._all.append(container)
        self._engine.start(container)
        return container

    def give_back(self, container: str) -> None:
        """The step that joined has ended."""
        with self._lock:
            self._free.append(container)

    def close(self) -> None:
        """Removes the namespaces and the network. All containers of steps must be gone."""
        for container in self._all:
            self._engine.remove(container)
        self._engine.remove_network(self._network_id)
