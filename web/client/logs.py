"""Prints the logs of a run's steps, one step after the other, also while they are written."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from pipelines.state import State
from web.client.api import Api, UnreachableError, run_path
from workers.errors import StartError

POLL_S = 1.0
AWAY_S_MAX = 60
"""For how long a server that is being followed may be away, as when it is started anew."""

T = TypeVar("T")
_Found = list[tuple[str, Mapping[str, Any]]]


@dataclass
class Absence:
    """How long a server has not answered. ``since_s`` is a time of the clock that all times here are from."""

    since_s: float = inf

    def is_too_long(self, began_s: float, failed_s: float) -> bool:
        """Notes a call that began and failed at these times. True where the server is not to be waited for any more."""
        # A log is followed for hours by one call: one that went on for so long was connected.
        was_connected = failed_s - began_s >= AWAY_S_MAX
        self.since_s = failed_s if was_connected else min(self.since_s, failed_s)
        return failed_s - self.since_s >= AWAY_S_MAX


class LogReader:
    """Writes logs with ``write``; ``head`` gets the name of each step before its log."""

    def __init__(self, api: Api, write: Callable[[bytes], None], head: Callable[[str], None]) -> None:
        self._api, self._write, self._head = api, write, head

    def show(self, repo: str, number: int, step: str, stream: str = "") -> State:
        """Writes what is there, or what of it came from a stream, and returns the run's state."""
        run = self._api.get(run_path(repo, number))
        for title, each in _steps_of(run, step, required=True):
            if each["started_ms"] is not None:
                self._head(title)
                self._stored(each["id"], stream)
        return State(run["state"])

    def follow(self, repo: str, number: int, step: str, stream: str = "") -> State:
        """Writes each step as it is written, or what of it comes from a stream, until the run has ended.

        With ``step`` that one. Returns the state.
        """
        shown: set[int] = set()
        while True:
            run = self._patiently(lambda: self._api.get(run_path(repo, number)))
            state = State(run["state"])
            found = _steps_of(run, step, required=state.final)
            new = [(title, each) for title, each in found if each["started_ms"] is not None and each["id"] not in shown]
            for title, each in new:
                self._head(title)
                self._live(each["id"], stream)
                shown.add(each["id"])
            if step and found and all(State(each["state"]).final for _, each in found):
                return max((State(each["state"]) for _, each in found), key=_has_failed)
            if state.final and not new:
                return state
            if not new:
                time.sleep(POLL_S)

    def _stored(self, step: int, stream: str) -> None:
        """Writes what there is now."""
        offset = 0
        while True:
            part = self._api.log(step, offset, stream)
            self._write(part.data)
            before, offset = offset, part.end
            if offset >= part.size_bytes or offset <= before:
                return

    def _live(self, step: int, stream: str) -> None:
        """Writes the log as it grows. A step whose worker was lost with its machine starts over with a new one."""
        offset = 0

        def go_on() -> bool:
            nonlocal offset
            asked: dict[str, str | int] = {"offset": offset} | ({"stream": stream} if stream else {})
            for event in self._api.events(f"/steps/{step}/stream", asked):
                if event.kind == "log":
                    self._write(b64decode(event.data))
                    offset = int(event.position)
                elif event.kind == "restart":
                    offset = 0
                elif event.kind == "end":
                    return True
            return False  # the server was stopped: another one goes on

        while not self._patiently(go_on):
            time.sleep(POLL_S)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Asks again where the server is away for a moment. Raises StartError."""
        absence = Absence()
        while True:
            began_s = time.monotonic()
            try:
                return ask()
            except UnreachableError:
                if absence.is_too_long(began_s, time.monotonic()):
                    raise
                time.sleep(POLL_S)


def _steps_of(run: Mapping[str, Any], step: str, *, required: bool) -> _Found:
    """The steps with their titles, in their order; with ``step`` those of that name. Raises StartError."""
    found = list(steps_with_titles(run))
    chosen = [(title, each) for title, each in found if step in {"", title, each["name"]}]
    if step and not chosen and required:
        names = ", ".join(repr(title) for title, _ in found[:20]) or "none"
        raise StartError(f"Run {run['number']} has no step {step!r}. Its steps: {names}.")
    return chosen


def steps_with_titles(run: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The steps of a run, as the API has it, each with its name; with that of its job where there are several."""
    several = len(run["jobs"]) > 1
    for job in run["jobs"]:
        values = ", ".join(job["cell"].values())
        name = f"{job['name']} {values}".rstrip()
        for each in job["steps"]:
            yield (f"{name}/{each['name']}" if several else each["name"]), each


def _has_failed(state: State) -> bool:
    return state not in {State.PASSED, State.SKIPPED}
