"""The JSON lines of ``headway run``: one object for each event that a program can use."""

import json
from io import StringIO
from typing import Any

from pipelines.state import PASSED, Outcome, Reason, State
from runner.cli.run.json_lines import JsonLines
from runner.events import (
    CachesUsed,
    Event,
    ImageBuilt,
    ImagePullChanged,
    ImagePushed,
    JobNote,
    ServiceChanged,
    StepFinished,
    StepOutput,
    StepRetried,
    StepReused,
    StepStarted,
    Stream,
)
from tests.support.pipelines import job_of

JOB = job_of("steps: [{name: a, image: 'alpine:3', commands: [ls]}, {name: b, image: 'alpine:3', commands: [ls]}]")


def lines_of(*events: Event) -> tuple[list[dict[str, Any]], list[Event]]:
    out, seen = StringIO(), list[Event]()
    emit = JsonLines(out).following(seen.append, JOB)
    for event in events:
        emit(event)
    return [json.loads(line) for line in out.getvalue().splitlines()], seen


def test_each_event_is_an_object_and_is_passed_on() -> None:
    events: list[Event] = [
        StepStarted(1),
        StepOutput(1, 0, b"h\xc3", Stream.STDOUT),
        StepOutput(1, 2, b"\xb6\n\xff\xc3", Stream.STDERR),
        StepRetried(1, ()),
        ImageBuilt(1, "sha256:1", 5),
        ImagePushed(1, "me/app", "1", "sha256:2", "sha256:1"),
        JobNote("a note"),
        CachesUsed(1, ()),
        StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 3", 3)),
        StepReused(2, PASSED, "run 4", 1.5),
    ]
    found, seen = lines_of(*events)
    assert seen == events
    seconds = found[-2].pop("seconds")
    assert seconds >= 0
    step = {"job": "headway", "step": "a", "number": 1}
    assert found == [
        {"event": "job_started", "job": "headway"},
        {"event": "step_started", **step},
        {"event": "output", **step, "stream": "stdout", "text": "h"},
        {"event": "output", **step, "stream": "stderr", "text": "\N{LATIN SMALL LETTER O WITH DIAERESIS}\n\ufffd"},
        {"event": "step_retried", **step, "attempts": 0},
        {"event": "image_built", **step, "image": "sha256:1", "size_bytes": 5},
        {"event": "image_pushed", **step, "image": "me/app:1", "digest": "sha256:2"},
        {"event": "note", "job": "headway", "text": "a note"},
        {"event": "output", **step, "stream": "stdout", "text": "\ufffd"},
        {"event": "step_finished", **step, "state": "failed", "reason": str(Reason.EXIT_CODE), "exit_code": 3,
         "message": "exited with 3"},
        {"event": "step_finished", "job": "headway", "step": "b", "number": 2, "reused": "run 4", "state": "passed",
         "exit_code": 0},
    ]  # fmt: skip


def test_pulls_and_services_say_how_long_they_took() -> None:
    found, _ = lines_of(
        ImagePullChanged("alpine:3"),
        ImagePullChanged("alpine:3", 1.23456, 700),
        ImagePullChanged("no", 0.5, failed=True),
        ServiceChanged("db", "starting"),
        ServiceChanged("db", "starting", has_container=True),
        ServiceChanged("db", "ready"),
        ServiceChanged("resumed", "ended", "it ended"),
    )
    pulled = {"event": "image_pulled", "job": "headway"}
    assert found[1:3] == [
        {**pulled, "image": "alpine:3", "seconds": 1.235, "size_bytes": 700, "failed": False},
        {**pulled, "image": "no", "seconds": 0.5, "size_bytes": 0, "failed": True},
    ]
    begun, container, ready, ended = found[3:]
    service = {"event": "service", "job": "headway"}
    assert begun == {**service, "service": "db", "state": "starting"}
    assert container.pop("seconds") <= ready.pop("seconds")
    assert (container["state"], ready) == ("starting", {**service, "service": "db", "state": "ready"})
    assert ended == {**service, "service": "resumed", "state": "ended", "message": "it ended"}


def test_the_end_of_a_job_and_of_the_run() -> None:
    out = StringIO()
    lines = JsonLines(out)
    lines.finished(JOB, PASSED)
    lines.run_finished(State.PASSED)
    assert out.getvalue().splitlines() == [
        '{"event": "job_finished", "job": "headway", "state": "passed", "exit_code": 0}',
        '{"event": "run_finished", "state": "passed"}',
    ]
