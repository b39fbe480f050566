"""One shell in a running step: a process beside the step's own, with a terminal that is a browser's."""

import re
import shlex
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import structlog
from redis import Redis, RedisError

from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL, STEP_LABEL
from runner.docker.interactive import open_exec, resize_exec
from runner.docker.streams.attach import Attached, readable
from runner.errors import MachineError, StepError
from workers.secrets.vault import Vault, VaultError
from workers.shells import limits
from workers.shells.messages import (
    BROWSER_LEFT,
    Direction,
    End,
    Kind,
    Message,
    OpenRequest,
    Sealer,
    Size,
    list_key,
    size_in,
)

POLL_S = 0.02
_INPUTS_AT_ONCE = 16
_CONTAINER_POLL_S = 0.25
_PID_LINE_BYTES_MAX = 64
_RESIZE_TRIES_MAX = 10
_EXIT_CODE_S = 2.0
_PID_S = 2.0
_log = structlog.get_logger()

NO_CONTAINER = (
    "This step has no container that runs now: it has ended, its container has not started yet, or it is a build or a "
    "push, which has none."
)
PAUSED = "The container of this step is paused (docker pause): nothing can run in it until it goes on."
STEP_ENDED = "The step has ended, and the shell with it."
IDLE = f"The shell was closed: no key came for {limits.SHELL_IDLE_S_MAX // 60} minutes."
TOO_LONG = f"The shell was closed after {limits.SHELL_S_MAX // 60} minutes, the limit. Open another one."
NO_SHELL = "The image of this step has no sh, so there is no shell to open."
_KILLED = 137
_REPORTS = re.compile(rb"(?:\x1b\[[?>=]?[0-9;]*(?:[Rcntx]|\$y)|\x1b\[[IO]|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\))+")
"""What a terminal answers by itself to what a program asks it, such as where its cursor is: no key."""
_NOT_FOUND = frozenset({126, 127})
# The first line of its output is the number of the process, by which it can be ended: to close the connection to a
# process with a terminal does not end it.
_COMMAND = 'echo "$$"\n{cd}headway_shell=$(command -v bash || command -v sh)\nexec "$headway_shell"\n'


@dataclass(frozen=True)
class StepContainer:
    """Where a shell is to be opened: a step of the job with this ``key``. ``directory`` is its own, or empty."""

    engine: Engine
    key: str
    step: int
    directory: str

    def running(self) -> str:
        """The id of the step's newest container that runs; empty if none does. Raises StepError."""
        found = [each for each in self._containers() if each["State"] == "running"]
        return str(max(found, key=lambda each: int(each["Created"]))["Id"]) if found else ""

    def is_paused(self) -> bool:
        """Has `docker pause` stopped it? Raises StepError."""
        return any(each["State"] == "paused" for each in self._containers())

    def _containers(self) -> list[Mapping[str, Any]]:
        found = self.engine.containers_labelled(f"{JOB_LABEL}={self.key}")
        return [each for each in found if each["Labels"].get(STEP_LABEL) == str(self.step)]

    def command(self) -> list[str]:
        """What starts the shell."""
        cd = f"cd -- {shlex.quote(self.directory)} 2>/dev/null\n" if self.directory else ""
        return ["sh", "-c", _COMMAND.format(cd=cd)]


class ShellSession:
    """A shell from its request to its end. ``run`` is for a thread of its own; ``stop`` is set when the job ends."""

    def __init__(
        self, redis: Redis, vault: Vault, where: StepContainer, request: OpenRequest, stop: threading.Event
    ) -> None:
        self._redis, self._where, self._request, self._stop = redis, where, request, stop
        self._sent = Sealer(vault, request.shell, Direction.OUT)
        self._received = Sealer(vault, request.shell, Direction.IN)
        self._container, self._exec_id, self._pid = "", "", b""
        self._backlog = 0
        self._exit_status: int | None = None
        self._waiting = b""
        self._began_s = self._typed_s = self._received_s = self._said_s = time.monotonic()

    def refuse(self, sentence: str) -> None:
        """Opens no shell, and says why. Raises RedisError."""
        self._send(End(sentence, self._exit_status).message())

    def run(self) -> None:
        """Opens the shell, relays what comes and goes, and ends it."""
        try:
            sentence = self._run()
        except (RedisError, VaultError) as error:
            _log.warning("a shell was lost", error=str(error))
            sentence = "The shell was closed: its messages were lost."
        except (StepError, OSError) as error:
            sentence = STEP_ENDED if self._exec_id and not self._is_running() else f"The shell was closed: {error}"
        with suppress(RedisError):
            self._redis.delete(list_key(self._request.shell, Direction.IN))
            if sentence == BROWSER_LEFT:  # no process takes the end any more
                self._redis.delete(list_key(self._request.shell, Direction.OUT))
            else:
                self.refuse(sentence[: limits.SENTENCE_CHARACTERS_MAX])

    def _run(self) -> str:
        self._container = self._started()
        if not self._container:
            without = PAUSED if self._where.is_paused() else NO_CONTAINER
            return STEP_ENDED if self._stop.is_set() else without
        variables = ["TERM=xterm-256color"]
        self._exec_id, stream = open_exec(
            self._where.engine, self._container, self._where.command(), variables, terminal=True
        )
        ended = False
        try:
            self._resize(self._request.size, _RESIZE_TRIES_MAX)
            self._send(Message(Kind.OPENED))
            sentence = self._relay(stream)
            ended = stream.ended
        finally:
            if not ended:
                self._await_pid(stream)
            stream.close()
            if not ended:
                self._end_process()
        return sentence

    def _started(self) -> str:
        """The container, which may be about to start: a step begins with its image. Raises StepError."""
        deadline_s = time.monotonic() + limits.CONTAINER_S_MAX
        while not (found := self._where.running()) and time.monotonic() < deadline_s:
            if self._stop.wait(_CONTAINER_POLL_S):
                break
        return found

    def _relay(self, stream: Attached) -> str:
        """Until the shell ends or must be ended. The sentence that says why."""
        while True:
            if why := self._why_end():
                return why
            if why := self._take_input():
                return why
            if self._waiting:
                self._waiting = self._waiting[stream.send_some(self._waiting) :]
            if self._backlog >= limits.WAITING_MESSAGES_MAX:
                time.sleep(POLL_S)
                self._backlog = self._redis.llen(list_key(self._request.shell, Direction.OUT))
            elif readable(stream, None, POLL_S):
                self._forward(stream)
            if stream.ended:
                return self._how_ended()

    def _why_end(self) -> str:
        now = time.monotonic()
        if self._stop.is_set():
            return STEP_ENDED
        if now - self._began_s >= limits.SHELL_S_MAX:
            return TOO_LONG
        if now - self._typed_s >= limits.SHELL_IDLE_S_MAX:
            return IDLE
        if now - self._received_s >= limits.SILENCE_S_MAX:
            return "The browser is away."
        if now - self._said_s >= limits.ALIVE_EVERY_S:
            self._send(Message(Kind.ALIVE))
        return ""

    def _take_input(self) -> str:
        """Takes what has been typed, unless the shell has not taken what came before. A sentence at the end."""
        if self._waiting:
            return ""
        key = list_key(self._request.shell, Direction.IN)
        sealed = cast("list[bytes] | None", self._redis.lpop(key, _INPUTS_AT_ONCE))
        for each in sealed or ():
            message = self._received.unseal(each)
            self._received_s = time.monotonic()
            match message.kind:
                case Kind.DATA:
                    if not _REPORTS.fullmatch(message.data):
                        self._typed_s = self._received_s
                    self._waiting += message.data
                case Kind.SIZE:
                    self._resize(size_in(message))
                case Kind.END:
                    return BROWSER_LEFT
                case _:
                    pass
        return ""

    def _forward(self, stream: Attached) -> None:
        try:
            data = b"".join(piece for _, piece in stream.read())
        except ConnectionResetError:
            stream.ended = True  # it ended before it had read all that was typed
            return
        data = self._without_pid(data)
        for start in range(0, len(data), limits.MESSAGE_BYTES_MAX):
            self._send(Message(Kind.DATA, data[start : start + limits.MESSAGE_BYTES_MAX]))

    def _without_pid(self, data: bytes) -> bytes:
        """Takes the first line off, which has the number of the process; other first lines stay."""
        if self._pid.endswith(b"\n"):
            return data
        line, found, rest = (self._pid + data).partition(b"\n")
        if not found and len(line) <= _PID_LINE_BYTES_MAX:
            self._pid = line
            return b""
        self._pid = (line.strip() if line.strip().isdigit() else b"") + b"\n"
        return rest if self._pid != b"\n" else line + found + rest

    def _await_pid(self, stream: Attached) -> None:
        """A browser may leave before the process has said its number, without which it cannot be ended."""
        deadline_s = time.monotonic() + _PID_S
        while not self._pid.endswith(b"\n") and time.monotonic() < deadline_s and not stream.ended:
            with suppress(ConnectionResetError):
                if readable(stream, None, POLL_S):
                    self._without_pid(b"".join(piece for _, piece in stream.read()))

    def _send(self, message: Message) -> None:
        key = list_key(self._request.shell, Direction.OUT)
        pipe = self._redis.pipeline(transaction=False)
        pipe.rpush(key, self._sent.seal(message))
        pipe.expire(key, limits.WAITING_LIFETIME_S)
        self._backlog = int(pipe.execute()[0])
        self._said_s = time.monotonic()

    def _resize(self, size: Size, tries: int = 1) -> None:
        """Older engines refuse the size of a terminal whose command is about to start."""
        for _ in range(tries):
            with suppress(MachineError):
                resize_exec(self._where.engine, self._exec_id, size.rows, size.columns)
                return
            time.sleep(POLL_S)

    def _how_ended(self) -> str:
        deadline_s = time.monotonic() + _EXIT_CODE_S
        code: int | None = None
        with suppress(StepError):
            while code is None and time.monotonic() < deadline_s:
                code = self._where.engine.exec_exit_code(self._exec_id)
                time.sleep(0 if code is not None else POLL_S)
        if code in {None, _KILLED}:  # an engine may say that the container runs a moment after it has killed all in it
            with suppress(StepError):
                self._where.engine.wait(self._container, _EXIT_CODE_S)
        if code in _NOT_FOUND and not self._pid.strip():
            return NO_SHELL
        if code is None or not self._is_running():
            return STEP_ENDED
        self._exit_status = code
        return f"The shell has ended with exit status {code}."

    def _is_running(self) -> bool:
        with suppress(StepError):
            found: dict[str, Any] = self._where.engine.inspect(self._container) or {}
            return bool((found.get("State") or {}).get("Running"))
        return False

    def _end_process(self) -> None:
        """Ends the shell by SIGHUP, and a second later by SIGKILL: the kernel then ends what has its terminal."""
        pid = self._pid.strip().decode()
        if pid and self._is_running():
            with suppress(StepError):
                script = f"kill -HUP {pid}; sleep 1; kill -KILL {pid}"
                self._where.engine.start_exec(self._container, ["sh", "-c", script])
