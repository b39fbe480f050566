"""The journal of a running job: a file in the job's folder with what another process needs to go on with the job.

A worker process may be killed at any moment. What ended is in its server's rows, output is in the engine's logs, files
are in the workspace; here is what would be lost: which container runs which step, and what was decided once for all
steps. It has no secrets, no commands and no output. Each line is one fact, written before it takes effect.
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from pipelines.state import Outcome, Reason, State
from runner.events import EndedAttempt

FORMAT = 1
JOURNAL_BYTES_MAX = 16 * 1024**2
"""A job with a longer one starts over if its worker process dies."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")

ImageKey = tuple[str, str, frozenset[int]]


@dataclass(frozen=True)
class OpenedContainer:
    """The container of a step whose commands may have begun. ``token`` is its gate's, empty where it has none.

    ``measure_token``, ``user`` and ``image`` are as in ``StartedContainer``; ``since_s`` is when it began (seconds
    since 1970).
    """

    container: str
    token: str
    user: int | None
    image: str
    since_s: float
    measure_token: str = ""


@dataclass
class History:
    """What the journal says. ``begun`` is when steps began, and ``deadline`` when the job ends, by the monotonic clock.

    ``prepared`` is true once the source was checked out and the services were ready. ``canceled_by`` is not empty where
    only steps for the state "canceled" still run. ``owner`` is ``WorkspaceOwner.state``. ``fingerprint`` is the
    assignment's. ``retried`` are the attempts of steps after which they run again; ``begun`` and ``opened`` are of the
    attempt after those.
    """

    deadline: float = 0
    started_s: int = 0
    fingerprint: str = ""
    prepared: bool = False
    canceled_by: str = ""
    owner: tuple[int | None, bool] = (None, False)
    services: dict[str, str] = field(default_factory=dict)
    opened: dict[int, OpenedContainer] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)
    built: dict[int, str] = field(default_factory=dict)
    named: list[tuple[int, tuple[str, ...], str]] = field(default_factory=list)
    images: dict[ImageKey, str] = field(default_factory=dict)
    untag: list[str] = field(default_factory=list)
    retried: dict[int, tuple[EndedAttempt, ...]] = field(default_factory=dict)

    def log_start(self, step: int) -> int:
        """Where the output of the step's present attempt begins in its log, in bytes."""
        attempts = self.retried.get(step, ())
        return attempts[-1].log_end_bytes if attempts else 0


class Journal:
    """Appends facts to the file at ``path``; without a path it does nothing. May be used from several threads.

    Where a fact cannot be written, on a full disk, the file is removed: half a journal would mislead.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()

    def began(self, started_s: int, deadline: float, fingerprint: str = "") -> None:
        """The job began, and must end at ``deadline``."""
        time_of = {"started_s": started_s, "deadline": deadline}
        self._write("began", format=FORMAT, boot=boot_id(), fingerprint=fingerprint, **time_of)

    def prepared(self, owner: tuple[int | None, bool]) -> None:
        """The source is there, and the services are ready."""
        self._write("prepared", owner=owner)

    def service(self, name: str, container: str) -> None:
        """The container of a service is made."""
        self._write("service", name=name, container=container)

    def begun(self, step: int) -> None:
        """A build or a push begins."""
        self._write("begun", step=step, at=time.monotonic())

    def opened(self, step: int, container: OpenedContainer, owner: tuple[int | None, bool]) -> None:
        """The commands of a step begin in this container."""
        self._write("opened", step=step, at=time.monotonic(), owner=owner, **vars(container))

    def retried(self, step: int, ended: EndedAttempt) -> None:
        """An attempt of a step has ended, and the step will run again. No text of its outcome may hold a secret."""
        said = {"state": ended.outcome.state, "reason": ended.outcome.reason, "message": ended.outcome.message}
        times = {"started_s": ended.started_s, "seconds": ended.seconds}
        code, end = ended.outcome.exit_code, ended.log_end_bytes
        self._write("retried", step=step, **said, exit_code=code, **times, log_end_bytes=end)

    def built(self, step: int, image: str) -> None:
        """A step built this image."""
        self._write("built", step=step, image=image)

    def named(self, step: int, names: Iterable[str], image: str) -> None:
        """A step gave these names to an image."""
        self._write("named", step=step, names=list(names), image=image)

    def image(self, key: ImageKey, image: str) -> None:
        """The name of an image was resolved to an id."""
        self._write("image", key=[key[0], key[1], sorted(key[2])], image=image)

    def untag(self, name: str) -> None:
        """The job will remove this name of an image at its end."""
        self._write("untag", name=name)

    def canceled(self, by: str) -> None:
        """From now on only steps for the state "canceled" run."""
        self._write("canceled", by=by)

    def _write(self, kind: str, **fact: object) -> None:
        if self._path is None:
            return
        line = json.dumps({"is": kind, **fact}).encode() + b"\n"
        with self._lock:
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    whole = os.write(descriptor, line) == len(line)
                finally:
                    os.close(descriptor)
            except OSError:
                whole = False
            if not whole:
                self._give_up()

    def _give_up(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        self._path = None


def boot_id() -> str:
    """Names the time since this machine was started: after another start, no container of before runs."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def read_journal(path: Path) -> History | None:
    """What the journal of a process that has died says, or None where its job cannot go on: see ``History``.

    Cuts off a line that the death left half written: what it says did not happen.
    """
    try:
        if path.stat().st_size > JOURNAL_BYTES_MAX:
            return None
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            data = data[: data.rfind(b"\n") + 1]
            os.truncate(path, len(data))
        history = _history([json.loads(line) for line in data.splitlines()])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return history if history and history.prepared else None


def _history(facts: list[dict[str, Any]]) -> History | None:
    if not facts or facts[0].get("format") != FORMAT or facts[0].get("boot") != boot_id():
        return None
    history = History()
    for fact in facts:
        _add(history, fact)
    return history


def _add(history: History, fact: dict[str, Any]) -> None:
    match fact:
        case {"is": "began"}:
            history.started_s, history.deadline = int(fact["started_s"]), float(fact["deadline"])
            history.fingerprint = str(fact["fingerprint"])
        case {"is": "prepared"}:
            history.prepared, history.owner = True, _owner(fact)
        case {"is": "service", "name": str(name)}:
            history.services[name] = str(fact["container"])
        case {"is": "canceled", "by": str(by)}:
            history.canceled_by = by
        case {"is": "untag", "name": str(name)}:
            history.untag.append(name)
        case {"is": "image", "key": [str(repo), str(tag), list(after)]}:
            history.images[repo, tag, frozenset(after)] = str(fact["image"])
        case _:
            _add_of_step(history, int(fact["step"]), fact)


def _add_of_step(history: History, step: int, fact: dict[str, Any]) -> None:
    match fact["is"]:
        case "begun":
            # A build that another process goes on with has no time of its own again.
            history.begun.setdefault(step, float(fact["at"]))
        case "opened":
            user = fact["user"]
            history.begun[step], history.owner = float(fact["at"]), _owner(fact)
            history.opened[step] = OpenedContainer(
                str(fact["container"]), str(fact["token"]), None if user is None else int(user), str(fact["image"]),
                float(fact["since_s"]), str(fact.get("measure_token", "")),
            )  # fmt: skip
        case "retried":
            history.retried[step] = (*history.retried.get(step, ()), _ended_attempt(fact))
            history.begun.pop(step, None)
            history.opened.pop(step, None)
        case "built":
            history.built[step] = str(fact["image"])
        case "named":
            history.named.append((step, tuple(map(str, fact["names"])), str(fact["image"])))
        case unknown:
            raise ValueError(unknown)


def _ended_attempt(fact: dict[str, Any]) -> EndedAttempt:
    code, reason = fact["exit_code"], fact["reason"]
    outcome = Outcome(
        State(fact["state"]),
        Reason(reason) if reason else None,
        str(fact["message"]),
        None if code is None else int(code),
    )
    return EndedAttempt(outcome, float(fact["started_s"]), float(fact["seconds"]), int(fact["log_end_bytes"]))


def _owner(fact: dict[str, Any]) -> tuple[int | None, bool]:
    user, is_open = fact["owner"]
    return None if user is None else int(user), bool(is_open)
