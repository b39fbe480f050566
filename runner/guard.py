"""A process that takes away what ``headway run`` leaves: nobody waits for it, and it outlives a kill.

It hears what there will be to remove before that is made. When a job has ended, or when the run's end of the pipe
closes, however that came about, it removes what the job left, by its label in the engine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from runner.leavings import Leavings

# What loads long is loaded when there is something to remove: while the run starts, it needs the processor.
# ruff: noqa: PLC0415

_AGAIN_AFTER_S = 0.5


class Guard:
    """The guard's other end, in the process of the run. Jobs may share one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Not from the folder it is called in: that may have a package of the same name.
            [sys.executable, "-P", "-m", "runner.guard"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
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
        # A run that was killed may have had requests on their way to the engine.
        while _remove(left) | _remove_again(left):
            pass


def _remove_again(left: "Leavings") -> bool:
    time.sleep(_AGAIN_AFTER_S)
    return _remove(left)


def _heard(pipe: BinaryIO) -> "Iterator[tuple[Leavings, bool]]":
    for line in pipe:
        from runner.leavings import Leavings

        said = json.loads(line)
        yield Leavings(said["key"], Path(said["folder"]), tuple(said["names"])), said["ended"]


def _remove(left: "Leavings") -> bool:
    """True when something was there to be removed."""
    from runner.engine import Engine
    from runner.errors import StepError
    from runner.leavings import remove

    for last in (False, False, True):
        try:
            engine = Engine()
            try:
                return remove(engine, left)
            finally:
                engine.close()
        except (StepError, OSError) as error:
            if last:
                _complain(f"something of the job {left.key} could not be removed: {error}")
        # What the run itself is still removing is not gone yet, and holds the network.
        time.sleep(_AGAIN_AFTER_S)
    return False


def _complain(sentence: str) -> None:
    path = complaint_file()
    with suppress(OSError):  # then there is no way left to tell
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{sentence}\n")


if __name__ == "__main__":
    main(sys.stdin.buffer)
