"""The cleanup process of ``headway run``: removes the leftovers of its jobs, also if the run itself is killed.

The run sends it each job's key over a pipe before it creates anything for the job. When a job has ended, or when the
pipe closes because the run has ended in any way, this process removes everything with the job's label in the engine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from runner.cleanup.leftovers import JobLeftovers

# Slow imports wait until there is something to remove: while the run starts, it needs the processor.

_PAUSES_AFTER_JOB_S = (0, 0.5, 0.5)
"""The pause before each try after a job has ended. The run's own removals still take place, and hold the network."""
_PAUSES_AFTER_RUN_S = (*_PAUSES_AFTER_JOB_S, 1, 2, 4, 8, 16)
"""The same after the run was killed: a busy engine may create late what the run had asked for."""
_KEPT_POLL_S = 60
"""How often this process looks whether a kept job was removed, so that it need not wait any longer."""


class CleanupProcess:
    """The run's side of the pipe. All jobs of a run share one process."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """``variables`` are added to its environment, so that it finds the same engine as this process."""
        self._process = subprocess.Popen(
            # -P: do not import from the current folder, which may contain a package called `runner`.
            [sys.executable, "-P", "-m", "runner.cli.run.cleanup_process"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **variables},
        )  # fmt: skip

    def watch(self, job: "JobLeftovers") -> None:
        """Registers a job. Call it before anything of the job is created."""
        self._send(job, ended=False)

    def clean_up(self, job: "JobLeftovers") -> bool:
        """Lets the process remove everything of a job that has ended. False if the process is dead."""
        return self._send(job, ended=True)

    def keep(self, job: "JobLeftovers", record: Path, until_s: float) -> bool:
        """Lets the process leave a job as it is until ``until_s`` (seconds since 1970). False if the process is dead.

        Then it removes the job, if the file ``record``, which must be there now, still is the same.
        """
        return self._send(job, ended=False, record=str(record), until_s=until_s)

    def close(self) -> None:
        """Lets the process remove what is left, and end. Does not wait for it."""
        if self._process.stdin:
            with suppress(OSError):  # the process is dead
                self._process.stdin.close()

    def _send(self, job: "JobLeftovers", *, ended: bool, record: str = "", until_s: float = 0) -> bool:
        message = {"ended": ended, "record": record, "until_s": until_s}
        message["job"] = {**asdict(job), "folder": str(job.folder)}
        pipe = self._process.stdin
        try:
            if pipe:
                pipe.write(json.dumps(message).encode() + b"\n")
                pipe.flush()
        except OSError:
            return False
        return True


def cleanup_failures_file() -> Path:
    """Where this process, which has no terminal, writes what it could not remove. The next run shows it."""
    state = os.environ.get("XDG_STATE_HOME") or Path(os.environ.get("HOME", "/"), ".local", "state")
    return Path(state, "headway", "left-behind.txt")


def past_cleanup_failures() -> str:
    """What the cleanup processes of earlier runs could not remove. Deletes the file: each failure is shown once."""
    path = cleanup_failures_file()
    try:
        text = path.read_text()
        path.unlink()
    except OSError:
        return ""
    return text.strip()


def main(pipe: BinaryIO) -> None:
    """Reads messages until the run closes the pipe, and returns when everything is removed."""
    watched: dict[str, JobLeftovers] = {}
    kept: list[_Kept] = []
    for job, message in _messages(pipe):
        watched[job.key] = job
        if message["ended"]:
            _remove_after_job(watched.pop(job.key))
        elif message["record"]:
            record = Path(message["record"])
            kept.append(_Kept(watched.pop(job.key), record, _content(record), message["until_s"]))
    for job in watched.values():
        _remove_after_run(job)
    for each in kept:
        _remove_when_old(each)


def _messages(pipe: BinaryIO) -> "Iterator[tuple[JobLeftovers, dict[str, Any]]]":
    for line in pipe:
        from runner.cleanup.leftovers import JobLeftovers

        message = json.loads(line)
        job = message.pop("job")
        folder = Path(job.pop("folder"))
        names, services = tuple(job.pop("image_names")), tuple(job.pop("services"))
        yield JobLeftovers(folder=folder, image_names=names, services=services, **job), message


class _Kept(NamedTuple):
    """A job that stays until ``until_s``, as long as its record has this content."""

    job: "JobLeftovers"
    record: Path
    content: bytes
    until_s: float


def _remove_when_old(kept: _Kept) -> None:
    """Waits until the kept job is too old, by the clock, which goes on while a laptop sleeps; then removes it.

    Also where its record has gone or is another job's: it may have been removed of another engine than this one.
    """
    while kept.content and _content(kept.record) == kept.content:
        left_s = kept.until_s - time.time()
        if left_s <= 0:
            with suppress(OSError):
                kept.record.unlink()
            break
        time.sleep(min(left_s, _KEPT_POLL_S))
    _remove_after_job(kept.job)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _remove_after_job(job: "JobLeftovers") -> None:
    for pause_s in _PAUSES_AFTER_JOB_S:
        time.sleep(pause_s)
        failure = _remove(job)
        if not failure:
            return
    _write_failure(failure)


def _remove_after_run(job: "JobLeftovers") -> None:
    failures = []
    for pause_s in _PAUSES_AFTER_RUN_S:
        time.sleep(pause_s)
        failures.append(_remove(job))
    # One success is enough: if the engine stops after it, everything was removed before.
    if all(failures):
        _write_failure(failures[-1])


def _remove(job: "JobLeftovers") -> str:
    """Removes everything of the job that exists now. Returns what could not be removed and why, or an empty text."""
    from runner.cleanup.ending import end_containers
    from runner.cleanup.leftovers import find_leftovers, remove_leftovers
    from runner.docker.client import Engine
    from runner.errors import StepError

    errors: list[Exception] = []
    try:
        engine = Engine()
        try:
            end_containers(engine, job.services, job.grace_s)
            errors = remove_leftovers(engine, find_leftovers(engine, job))
        finally:
            engine.close()
    except (StepError, OSError) as error:
        errors = [error]
    return f"something of the job {job.key} could not be removed: {errors[0]}" if errors else ""


def _write_failure(sentence: str) -> None:
    path = cleanup_failures_file()
    with suppress(OSError):  # there is no other way to report it
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{sentence}\n")


if __name__ == "__main__":
    main(sys.stdin.buffer)
