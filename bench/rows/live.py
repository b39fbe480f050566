"""What people wait for in front of the page: the first byte after a push, and every byte after it was written."""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench import measure
from bench.measure import NotMeasurableError, docker_run, interleave, percentile
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.client import flood
from bench.rows.folders import git, repository
from bench.rows.hooks import ACCEPTED, delivery, secret_in
from bench.servers import Server, server
from tests.e2e.stack import until

FIRST_BYTE = Row(
    "hook-first-byte",
    "signed webhook to the step's first byte in the live stream, p50",
    "one `docker run --rm busybox true`",
    "s",
    Target(Kind.RATIO_AT_MOST, 2.0, 1.2),
)
LATENCY = Row(
    "write-to-browser",
    "write to browser latency, p95",
    "",
    "ms",
    Target(Kind.FIGURE_AT_MOST, 150),
)
LINES = 200
EVERY_S = 0.05
_LOOK_S = 0.015
_SILENCE_S = 60
_IDLE_S = 0.5
# The shell has to do the sum: an echo of the command does not count as its output.
_FIRST = 'steps:\n  - name: hello\n    image: busybox\n    commands: ["echo first-$((6 * 7))"]\n'
_MARK = b"first-42"
_CLOCK = f"""\
import time
for _ in range({LINES}):
    print(f"at {{time.time_ns()}}", flush=True)
    time.sleep({EVERY_S})
"""
_TICKING = "steps:\n  - name: tick\n    image: python:3.13-slim\n    commands: [python clock.py]\n"


class Watched:
    """A repository on a running server, and a browser's connections to it."""

    def __init__(self, stack: Server, name: str, files: dict[str, str]) -> None:
        self._stack = stack
        self._name = name
        folder = repository(stack.folder / name, files)
        self._sha = git(folder, "rev-parse", "HEAD").strip()
        self._secret = secret_in(stack.headway("repo", "add", f"file://{folder}", "--name", name))
        self._runs = 0
        self._headers = {"Authorization": f"Bearer {stack.token}"}

    def push(self) -> int:
        """Sends a delivery as a forge would; the number of its run."""
        _, statuses = flood(self._stack.port, [delivery(f"/hooks/{self._name}", self._secret, self._sha)], 1)
        if statuses != {ACCEPTED: 1}:
            raise NotMeasurableError(f"the webhook was answered with {statuses}")
        self._runs += 1
        return self._runs

    def step_id(self, number: int) -> int:
        """The run's only step, as soon as the run is planned; asked for as a page would, on one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=_SILENCE_S)
        deadline_s = time.monotonic() + _SILENCE_S
        try:
            while time.monotonic() < deadline_s:
                connection.request("GET", f"/api/repos/{self._name}/runs/{number}", headers=self._headers)
                run: Any = json.loads(connection.getresponse().read())
                for job in run["jobs"]:
                    for step in job["steps"]:
                        return int(step["id"])
                time.sleep(_LOOK_S)
        finally:
            connection.close()
        raise NotMeasurableError(f"run {number} was not planned within {_SILENCE_S} s")

    @contextmanager
    def stream(self, step_id: int) -> Iterator[Iterator[bytes]]:
        """The step's output as a browser gets it, from the first byte to the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=_SILENCE_S)
        try:
            connection.request("GET", f"/api/steps/{step_id}/stream", headers=self._headers)
            yield _output(connection.getresponse())
        finally:
            connection.close()

    def wait_end(self, number: int) -> None:
        """Until the run has ended, and a little longer: the next finds an idle server."""

        def state() -> str:
            return str(self._stack.api(f"/repos/{self._name}/runs/{number}").json["state"])

        until("the run ends", lambda: state() not in {"queued", "running"})
        if state() != "passed":
            raise NotMeasurableError(f"run {number} of {self._name} ended as {state()}")
        time.sleep(_IDLE_S)


def _output(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What the events of a stream carry, each as it comes."""
    kind, pending = b"", b""
    while data := response.read1(65536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name == b"event":
                kind = value
            elif name == b"data" and kind == b"log":
                yield base64.b64decode(value)
            elif name == b"data" and kind == b"end":
                return


def first_byte(bench: Bench) -> dict[Row, Measured]:
    """Every round finds an idle server, which has seen the commit and the image before."""
    with server(bench.place(FIRST_BYTE.name)) as stack:
        watched = Watched(stack, "hello", {".headway.yml": _FIRST})
        variants = {"ours": partial(_hello, watched), "baseline": partial(measure.run, docker_run("true"))}
        timed = interleave(bench.rounds_of(15), variants)
    return {FIRST_BYTE: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}


def _hello(watched: Watched) -> float:
    started_s = time.perf_counter()
    number = watched.push()
    with watched.stream(watched.step_id(number)) as output:
        seen = b""
        for data in output:
            seen += data
            if _MARK in seen:
                break
        took_s = time.perf_counter() - started_s
    if _MARK not in seen:
        raise NotMeasurableError(f"the step's output never came: {seen[-300:]!r}")
    watched.wait_end(number)
    return took_s


def latency(bench: Bench) -> dict[Row, Measured]:
    """The step writes the time; the browser looks at its own clock, which on one machine is the same."""
    p95s: list[float] = []
    late: list[float] = []
    with server(bench.place(LATENCY.name)) as stack:
        watched = Watched(stack, "tick", {".headway.yml": _TICKING, "clock.py": _CLOCK})
        for _ in range(bench.rounds_of(3)):
            found = _ticks(watched)
            p95s.append(percentile(found, 95))
            late += found
    note = f"{len(late)} lines: p50 {percentile(late, 50):.0f} ms, p99 {percentile(late, 99):.0f} ms"
    return {LATENCY: Measured(percentile(late, 95), rounds={"ours": p95s}, note=note)}


def _ticks(watched: Watched) -> list[float]:
    """How late each line of one run was, in ms."""
    number = watched.push()
    late, pending = [], b""
    with watched.stream(watched.step_id(number)) as output:
        for data in output:
            now_ns = time.time_ns()
            *lines, pending = (pending + data).split(b"\n")
            late += [(now_ns - int(line[3:])) / 1e6 for line in lines if line.startswith(b"at ")]
    if len(late) != LINES:
        raise NotMeasurableError(f"of {LINES} lines {len(late)} came")
    watched.wait_end(number)
    return late
