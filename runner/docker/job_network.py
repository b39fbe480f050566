"""A job's place in the engine: its network, the namespaces its steps join, and its services.

A container that joins an existing network namespace starts in half the time of one that gets an endpoint of its own,
so steps join a *sandbox*: a container that does nothing but hold a namespace on the job's network. Steps that run at
the same time get a sandbox each, and so their ports never clash. Where none is on its way, the first step gets an
endpoint of its own: that is quicker than a sandbox and a step in it, and a job of one step needs no sandbox at all.
"""

import io
import json
import struct
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from threading import Event, Lock

from pipelines.state import Reason
from pipelines.step_order import ancestors
from runner.docker.client import Engine
from runner.docker.folders import Folder
from runner.docker.specs import ContainerSpec, Limits, job_labels
from runner.errors import MachineError, NoAddressError, StepError
from runner.threads import in_background

SANDBOX_IMAGE = "headway/sandbox:1"
ASK_AGAIN_S = 1.0
SANDBOX_LIMITS = Limits(memory_bytes=16 * 1024 * 1024, pids=16)

# A program that waits for ever: `pause()` on x86-64, `ppoll(0, 0, 0, 0)` on AArch64, in an endless loop. It is written
# out here so that a job needs no image from any registry but those that it names.
_CODE = {
    "amd64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "arm64": (183, bytes.fromhex("000080d2 010080d2 020080d2 030080d2 280980d2 010000d4 faffff17")),
}
_LOAD_ADDRESS = 0x400000


def sandbox_archive(arch: str) -> bytes:
    """The sandbox's image as ``docker load`` takes it, for what Docker calls ``arch``: one layer with one file.

    The same bytes each time, and so the same image: with the containerd store, giving a name to another image takes it
    away for a moment, and a job that starts just then would not find it.
    Raises MachineError for an architecture that there is no program for.
    """
    layer = _tar({"wait": _program(arch)})
    config = json.dumps({
        "architecture": arch,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }).encode()  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": [SANDBOX_IMAGE], "Layers": ["layer.tar"]}]
    return _tar({"layer.tar": layer, "config.json": config, "manifest.json": json.dumps(manifest).encode()})


def _program(arch: str) -> bytes:
    """A static ELF program that sleeps until killed."""
    if arch not in _CODE:
        known = " and ".join(_CODE)
        raise MachineError(Reason.ENGINE_UNSUITABLE, f"the Docker Engine runs on {arch}; Headway can work with {known}")
    elf_machine, code = _CODE[arch]
    header_size, program_size = 64, 56
    entry = _LOAD_ADDRESS + header_size + program_size
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", 2, elf_machine, 1, entry, header_size, 0, 0, header_size, program_size, 1, 0, 0, 0
    )
    size = header_size + program_size + len(code)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return ident + head + program + code


def _tar(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def ensure_sandbox_image(engine: Engine) -> None:
    """Makes the image of the sandbox, if the engine does not have it."""
    if engine.image(SANDBOX_IMAGE) is None:
        engine.load_image(sandbox_archive(engine.connection.about.arch))


def check_folder(engine: Engine, folder: Folder, labels: Mapping[str, str]) -> str:
    """Has the engine make a container with the folder, and returns its id. Raises UnseenFolderError.

    It is never started: an engine refuses at once what it does not see.
    """
    ensure_sandbox_image(engine)
    spec = ContainerSpec(image=SANDBOX_IMAGE, labels=labels, network="none", command=("/wait",), folders=(folder,))
    return engine.create(spec)


@dataclass(frozen=True)
class Patience:
    """What is done while the engine has no address for one more network: the leftovers of dead jobs are removed, once,
    by ``make_room``; then other jobs are waited for, ``wait_s`` at the most.

    ``say`` tells people. ``check`` is asked again and again, and may raise to end the wait.
    """

    wait_s: float
    make_room: Callable[[], None]
    say: Callable[[str], None]
    check: Callable[[], None]


class Sandboxes:
    """The network of one attempt at a job and the namespaces on it. ``close`` removes all of it."""

    def __init__(self, engine: Engine, key: str, attempt: int) -> None:
        """Makes nothing yet: what the job needs first is made while its source is laid out, or by ``begin``."""
        self._engine = engine
        self._labels = job_labels(key, attempt)
        self._made: list[str] = []
        self._begun: list[Future[str]] = []
        self._prepared: Future[str] | None = None
        self._network_id = ""
        self._lock = Lock()
        self._no_more = Event()
        self.network = f"headway-{key}-{attempt}"
        self.patience: Patience | None = None

    def begin(self) -> None:
        """Begins to make the network, for whoever expects that steps will come."""
        self._start(self.open)

    def prepare(self) -> None:
        """The same with a first namespace, which pays where that is there before the first step is known."""
        self._prepared = self._start(self._make)

    def _start(self, make: Callable[[], str]) -> Future[str]:
        started = in_background(make)
        self._begun.append(started)
        return started

    @property
    def prepared(self) -> bool:
        """True while a namespace is there, or on its way, that nobody has taken."""
        return self._prepared is not None

    def open(self) -> str:
        """The network's name; makes it, if nobody has. Raises NoAddressError where waiting does not help."""
        with self._lock:
            if not self._network_id:
                self._network_id = self._create_network()
        return self.network

    def _create_network(self) -> str:
        try:
            return self._engine.create_network(self.network, self._labels)
        except NoAddressError:
            if self.patience is None:
                raise
            return self._create_patiently(self.patience)

    def _create_patiently(self, patience: Patience) -> str:
        deadline = time.monotonic() + patience.wait_s
        patience.make_room()
        told = False
        while True:
            try:
                return self._engine.create_network(self.network, self._labels)
            except NoAddressError as error:
                if time.monotonic() >= deadline or self._no_more.is_set():
                    raise
                if not told:
                    patience.say(f"{error}. Waiting up to {patience.wait_s:g} s for other jobs to give theirs back")
                    told = True
            patience.check()
            self._no_more.wait(ASK_AGAIN_S)

    def stop_waiting(self) -> None:
        """From now on nobody waits for an address: the job is at its end."""
        self._no_more.set()

    def make(self) -> str:
        """A running container that holds a namespace on the job's network."""
        with self._lock:
            prepared, self._prepared = self._prepared, None
        if prepared:
            # That was before anybody could tell people of a wait.
            with suppress(NoAddressError):
                return prepared.result()
        return self._make()

    def _make(self) -> str:
        ensure_sandbox_image(self._engine)
        spec = ContainerSpec(
            image=SANDBOX_IMAGE, labels=self._labels, network=self.open(), command=("/wait",), limits=SANDBOX_LIMITS
        )
        container = self._engine.create(spec)
        with self._lock:
            self._made.append(container)
        self._engine.start(container)
        return container

    def settle(self) -> None:
        """Waits until nothing is on its way any more."""
        for begun in self._begun:
            # Whoever needed it has heard why it could not be made.
            with suppress(StepError, OSError):
                begun.result()

    def close(self) -> None:
        """Removes the namespaces and the network. All containers of steps must be gone. Once more does nothing."""
        self.settle()
        while self._made:
            self._engine.remove(self._made[-1])
            self._made.pop()
        if self._network_id:
            self._engine.remove_network(self._network_id)
            self._network_id = ""


class Lanes:
    """Which steps share a namespace: only such as never run at the same time, so that their ports never clash.

    A step joins the namespace of one that it comes after, though that one may still run while its container is made
    ready; or one that nobody uses any more; or a new one. The first to come needs none, unless one is prepared.
    """

    def __init__(self, sandboxes: Sandboxes, needs: Mapping[int, Sequence[int]]) -> None:
        self._sandboxes = sandboxes
        self._before = ancestors(needs)
        self._last: dict[str, int] = {}
        self._ended: set[int] = set()
        self._first = not sandboxes.prepared
        self._lock = Lock()

    def join(self, step: int) -> str:
        """The network mode of the step, by its number: a sandbox's namespace, or the job's network itself."""
        with self._lock:
            first, self._first = self._first, False
            for sandbox, last in self._last.items():
                if last in self._before[step] or last in self._ended:
                    self._last[sandbox] = step
                    return sandbox
        if first:
            return self._sandboxes.open()
        sandbox = f"container:{self._sandboxes.make()}"
        with self._lock:
            self._last[sandbox] = step
        return sandbox

    def leave(self, step: int) -> None:
        """The step has ended."""
        with self._lock:
            self._ended.add(step)
