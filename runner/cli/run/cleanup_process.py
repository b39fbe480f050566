"""A process that takes away what ``headway run`` leaves: nobody waits for it, and it outlives a kill.

It hears what there will be to remove before that is made. When a job has ended, or when the run's end of the pipe
closes, however that came about, it removes what the job left, by its label in the engine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from runner.cleanup.leftovers import Leavings

# What loads long is loaded when there is something to remove: while the run starts, it needs the processor.

_AT_ITS_END_S = (0, 0.5, 0.5)
"""Pauses before each try. What the run itself is still removing is not gone yet, and holds the network."""
_AFTER_ITS_END_S = (*_AT_ITS_END_S, 1, 2, 4, 8, 16)
"""What a run had asked the engine for when it was killed may come late, where the engine has much to do."""


class Guard:
    """The guard's other end, in the process of the run. Jobs may share one."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """``variables`` are added to its environment: by them it finds the same engine as this process."""
        self._process = subprocess.Popen(
            # Not from the folder it is called in: that may have a package of the same name.
            [sys.executable, "-P", "-m", "runner.cli.run.cleanup_process"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **variables},
        )  # fmt: skip

    def watch(self, left: "Leavings") -> None:
        """To be called before anything of the job is made."""
        self._tell(left, ended=False)

    def hand_over(self, left: "Leavings") -> bool:
        """The job has ended: all of it may go. False where the guard is no more."""
        return self._tell(left, ended=True)

    def _tell(self, left: "Leavings", *, ended: bool) -> bool:
        said = {"key": left.key, "folder": str(left.folder), "names": left.names, "ended": ended}
        pipe = self._process.stdin
        try:
            if pipe:
                pipe.write(json.dumps(said).encode() + b"\n")
                pipe.flush()
        except OSError:
            return False
        return True


def complaint_file() -> Path:
    """Where the guard, to whom nobody listens, writes what it could not remove; the next run says it."""
    state = os.environ.get("XDG_STATE_HOME") or Path(os.environ.get("HOME", "/"), ".local", "state")
    return Path(state, "headway", "left-behind.txt")


def past_complaints() -> str:
    """What guards of earlier runs could not remove, told once."""
    path = complaint_file()
    try:
        text = path.read_text()
        path.unlink()
    except OSError:
        return ""
    return text.strip()


def main(pipe: BinaryIO) -> None:
    """Listens until the other end closes, and leaves when all is gone."""
    watched: dict[str, Leavings] = {}
    for left, ended in _heard(pipe):
        watched[left.key] = left
        if ended:
            _remove(watched.pop(left.key))
    for left in watched.values():
        _remove_all_to_come(left)


def _heard(pipe: BinaryIO) -> "Iterator[tuple[Leavings, bool]]":
    for line in pipe:
        from runner.cleanup.leftovers import Leavings

        said = json.loads(line)
        yield Leavings(said["key"], Path(said["folder"]), tuple(said["names"])), said["ended"]


def _remove(left: "Leavings") -> None:
    for pause_s in _AT_ITS_END_S:
        time.sleep(pause_s)
        trouble = _trouble_with(left)
        if not trouble:
            return
    _complain(trouble)


def _remove_all_to_come(left: "Leavings") -> None:
    troubles = []
    for pause_s in _AFTER_ITS_END_S:
        time.sleep(pause_s)
        troubles.append(_trouble_with(left))
    # An engine that is stopped meanwhile has removed all that there was.
    if all(troubles):
        _complain(troubles[-1])


def _trouble_with(left: "Leavings") -> str:
    """Removes all that is there now; what could not be removed, and why."""
    from runner.cleanup.leftovers import remove
    from runner.docker.client import Engine
    from runner.errors import StepError

    try:
        engine = Engine()
        try:
            remove(engine, left)
        finally:
            engine.close()
    except (StepError, OSError) as error:
        return f"something of the job {left.key} could not be removed: {error}"
    return ""


def _complain(sentence: str) -> None:
    path = complaint_file()
    with suppress(OSError):  # then there is no way left to tell
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{sentence}\n")


if __name__ == "__main__":
    main(sys.stdin.buffer)
