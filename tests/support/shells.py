"""A step that runs on a real worker, and clients of its shell."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pipelines.state import State
from tests.support.services import eventually
from tests.support.working import FinishedRun, PushWorker
from workers import store
from workers.db.models import Step
from workers.db.session import reading

STEP = "steps: [{{name: waits, image: busybox, directory: sub, commands: ['{command}']}}]"
UNTIL_ENDED = "for n in $(seq 500); do [ -e ../end ] && break; sleep 0.05; done"
"""A command that goes on until a shell makes the file ``end`` in the checkout, for half a minute at most."""


class ShellClient:
    """A program that has opened a shell: what it has shown, and the sentence at its end."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.shown, self.end, self.opened = b"", "", False
        self.exit_status: int | None = None

    def type(self, text: str) -> None:
        """Types it."""
        self._socket.send(text.encode())

    def until_opened(self) -> None:
        """Reads until the worker has opened it."""
        while not self.opened:
            self._take(20)

    def type_in_frames(self, text: str, count: int) -> None:
        """Types it in one message of so many frames; all but the first have no byte."""
        self._socket.send([text.encode(), *[b""] * (count - 2)])  # the last one comes from the library

    def resize(self, rows: int, columns: int) -> None:
        """As a terminal that gets another size."""
        self._socket.send(json.dumps({"rows": rows, "columns": columns}))

    def until(self, wanted: bytes, within_s: float = 10, after: bytes = b"") -> None:
        """Reads until this is shown, with ``after`` behind that."""
        while wanted not in self.shown.partition(after)[2] if after else wanted not in self.shown:
            try:
                self._take(within_s)
            except (TimeoutError, ConnectionClosed):
                pytest.fail(f"{wanted!r} is not in {self.shown!r}; opened: {self.opened}, end: {self.end!r}")

    def until_end(self, within_s: float = 30) -> str:
        """Reads to the end. Returns its sentence."""
        try:
            while True:
                self._take(within_s)
        except ConnectionClosed:
            return self.end

    def _take(self, within_s: float) -> None:
        received = self._socket.recv(within_s)
        if isinstance(received, bytes):
            self.shown += received
            return
        said = json.loads(received)
        self.opened = self.opened or bool(said.get("opened"))
        self.end = said.get("end", "")
        self.exit_status = said.get("exit_status")


@contextmanager
def shell(url: str, step_id: int, headers: dict[str, str]) -> Iterator[ShellClient]:
    """Opens the shell, and leaves at the end."""
    address = f"{url.replace('http', 'ws', 1)}/api/steps/{step_id}/shell?rows=30&columns=100"
    with connect(address, additional_headers=headers, proxy=None) as socket:
        yield ShellClient(socket)


@dataclass
class RunningStep:
    """A step that runs until its shell ends it."""

    worker: PushWorker
    pipeline: str
    from_fork: bool = False
    results: list[FinishedRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.step = eventually(self._running, 60)

    def _run(self) -> None:
        self.results.append(self.worker.runs(self.pipeline, {"sub/file": "x"}, from_fork=self.from_fork))

    def _running(self) -> Step | None:
        with reading(self.worker.context.database) as session:
            run = store.run_by_number(session, 1, 1)
            steps = store.steps_of_run(session, run.id) if run else []
            return next((step for step in steps if step.state is State.RUNNING), None)

    def finished(self) -> FinishedRun:
        """The run, when it has ended."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.results[0]


@contextmanager
def running_step(
    worker: PushWorker, command: str = UNTIL_ENDED, *, from_fork: bool = False
) -> Iterator[RunningStep]:  # fmt: skip
    """A step with this command. At the end of the block it waits until the step has ended."""
    running = RunningStep(worker, STEP.format(command=command), from_fork)
    try:
        yield running
    finally:
        running.finished()
