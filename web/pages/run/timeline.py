"""The time axis of a run's page: what took how long, and what it waited for. From the times that are stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.state import State
from web.pages.filters import duration, size, state_display
from web.pages.run.job_list import JobGroup, ListedJob
from workers.db.models import Job, Run, Step

ROWS_MAX = 200
INSTRUCTION_CHARS_MAX = 60
_SCALE = 1000
_TICKS = 4
_PAUSES = ("waited", "prepared")
_SERVICE_STATES = {"starting": State.RUNNING, "ready": State.PASSED, "ended": State.PASSED, "failed": State.FAILED}
"""With which icon a service is shown. One that waits to begin has no time yet."""
_SHORTEST = 3
"""So wide is the bar of what took no time."""
SAID_MS_MIN = 1000
"""A shorter wait is not worth a word."""


@dataclass(frozen=True)
class Span:
    """A bar: ``kind`` is waited, prepared or a state's icon. ``left`` and ``width`` are thousandths of the axis."""

    kind: str
    left: int
    width: int


@dataclass(frozen=True)
class Row:
    """A line of the time axis. ``level`` 1 is a part of the row before it; ``icon`` is empty where it has no state."""

    name: str
    icon: str
    word: str
    spans: Sequence[Span]
    took: str
    note: str = ""
    level: int = 0


@dataclass(frozen=True)
class Timeline:
    """The rows, and the times at the ticks of the axis. ``left_out`` rows are too many."""

    rows: Sequence[Row]
    ticks: Sequence[tuple[int, str]]
    left_out: int = 0


@dataclass(frozen=True)
class _Axis:
    start_ms: int
    end_ms: int

    def span(self, kind: str, start_ms: int | None, end_ms: int | None) -> list[Span]:
        """The bar of a time; none where it lies outside: of what another run did."""
        if start_ms is None or start_ms < self.start_ms:
            return []
        length = max(1, self.end_ms - self.start_ms)
        end = self.end_ms if end_ms is None else min(end_ms, self.end_ms)
        if kind in _PAUSES and end <= start_ms:
            return []
        left = min(_SCALE - _SHORTEST, (start_ms - self.start_ms) * _SCALE // length)
        width = max(_SHORTEST, (end - start_ms) * _SCALE // length)
        return [Span(kind, left, min(width, _SCALE - left))]


def timeline_of(run: Run, groups: Sequence[JobGroup], now: int) -> Timeline | None:
    """The time axis of a run; None before something has begun."""
    jobs = [each for group in groups for each in group.jobs]
    if not any(each.job.started_ms for each in jobs):
        return None
    end = now if run.finished_ms is None else run.finished_ms
    axis = _Axis(run.created_ms, max(end, run.created_ms + 1))
    rows: list[Row] = []
    for each in jobs:
        rows += _of_job(axis, each, [other.job for other in jobs], now, alone=len(jobs) == 1)
    length = axis.end_ms - axis.start_ms
    ticks = [(_SCALE * tick // _TICKS, duration(length * tick // _TICKS)) for tick in range(_TICKS + 1)]
    return Timeline(rows[:ROWS_MAX], ticks, max(0, len(rows) - ROWS_MAX))


def _of_job(axis: _Axis, listed: ListedJob, jobs: Sequence[Job], now: int, *, alone: bool) -> list[Row]:
    """The row of a job and, of the job that the page shows, those of its steps."""
    job = listed.job
    if job.carried_from:
        return [_row(job.title or "pipeline", job, (), note=f"carried over from run {job.carried_from}")]
    ready, waited_for = _ready(axis, job, jobs)
    begun = min((step.started_ms for step in listed.steps if step.started_ms), default=job.finished_ms)
    spans = [
        *axis.span("waited", ready, job.started_ms or job.finished_ms),
        *axis.span("prepared", job.started_ms, begun),
        *(axis.span(state_display(job.state).icon, begun, job.finished_ms) if job.started_ms else ()),
    ]
    rows = [_row(job.title or "pipeline", job, spans, _waits(job, ready, waited_for, begun), now)]
    if listed.shown or alone:
        end = now if job.finished_ms is None else job.finished_ms
        rows += [_of_pull(axis, pull, end, ended=job.finished_ms is not None) for pull in job.pulls]
        rows += _of_services(axis, job, end)
        for step in listed.steps:
            rows += _of_step(axis, step, now)
    return rows


def _ready(axis: _Axis, job: Job, jobs: Sequence[Job]) -> tuple[int | None, list[str]]:
    """When nothing but a worker was missing, and the workflows that it waited for."""
    ends = {other.name: other.finished_ms for other in jobs if other.name in job.needs and not other.carried_from}
    unfinished = [name for name, end in ends.items() if end is None]
    if unfinished:
        return None, unfinished
    return max((end for end in ends.values() if end is not None), default=axis.start_ms), sorted(ends)


def _waits(job: Job, ready: int | None, waited_for: Sequence[str], begun: int | None) -> str:
    words = [f"after {', '.join(waited_for)}"] if waited_for else []
    if ready is not None and job.started_ms is not None and job.started_ms - ready >= SAID_MS_MIN:
        turn = f"its turn in {job.group_name} and " if job.group_name else ""
        words.append(f"waited {duration(job.started_ms - ready)} for {turn}a worker")
    if job.delays:
        words.append(f"delayed {job.delays} times by its forge or a registry")
    if job.started_ms is not None and begun is not None and begun - job.started_ms >= SAID_MS_MIN:
        words.append(f"{duration(begun - job.started_ms)} until its first step began")
    return "; ".join(words)


def _of_pull(axis: _Axis, pull: Mapping[str, Any], job_end: int, *, ended: bool) -> Row:
    """A pull that has no end although the job has ended was given up with it."""
    start, end = int(pull["started_ms"]), pull["finished_ms"]
    size_bytes = int(pull["downloaded_bytes"])
    if end is None:
        note = "given up with the job" if ended else "is being pulled"
    elif pull["failed"]:
        note = "could not be pulled"
    else:
        note = f"{size(size_bytes)} downloaded" if size_bytes else ""
    display = state_display(State.FAILED) if pull["failed"] else None
    until = job_end if end is None else int(end)
    icon, word = (display.icon, display.word) if display else ("", "")
    spans = axis.span("prepared", start, until)
    return Row(f"pull {pull['image']}", icon, word, spans, duration(until - start), note, level=1)


def _of_services(axis: _Axis, job: Job, job_end: int) -> Iterator[Row]:
    """The rows of the services that have begun. What a service took is the time until it was ready."""
    for service in job.services:
        begun, container = service.get("begun_ms"), service.get("started_ms")
        if begun is None:
            continue
        ready, end = service.get("ready_ms"), service.get("finished_ms") or job_end
        waited_until = end if ready is None else ready
        spans = axis.span("waited", begun, container or end)
        if container is not None:
            spans += axis.span("prepared", container, waited_until)
        if ready is not None:
            spans += axis.span("ran", ready, end)
        display = state_display(_SERVICE_STATES.get(service["state"], State.QUEUED))
        note = _service_note(service, begun, container, ready)
        took = duration(waited_until - begun)
        yield Row(f"service {service['name']}", display.icon, service["state"], spans, took, note, level=1)


def _service_note(service: Mapping[str, Any], begun: int, container: int | None, ready: int | None) -> str:
    """When its container started, when it was ready, and which steps waited for that."""
    after = service.get("after")
    steps = f"the steps after {after}" if after else "all steps"
    words = [] if container is None else [f"its container started after {duration(container - begun)}"]
    if ready is not None:
        words.append(f"ready after {duration(ready - begun)}")
    ended = service.get("finished_ms")
    if ended is not None:
        words.append(f"{service['state']} after {duration(ended - begun)}")
    waited = "waited" if ready is not None or ended is not None else "wait"
    return "; ".join((*words, f"{steps} {waited} for it"))


def _of_step(axis: _Axis, step: Step, now: int) -> list[Row]:
    if "reused" in step.facts or step.carried_from:
        since = step.facts["reused"]["run"] if "reused" in step.facts else step.carried_from
        return [_row(step.name, step, (), f"unchanged since run {since}", level=1)]
    spans = []
    for attempt in step.facts.get("attempts") or ():
        start = int(attempt["started_ms"])
        spans += axis.span(str(attempt["state"]), start, start + int(attempt["seconds"] * 1000))
    last = spans[-1:] and spans[-1].left + spans[-1].width
    icon = state_display(step.state).icon
    for whole in axis.span(icon, step.started_ms, step.finished_ms):
        # The last attempt begins where the one before it ended.
        left = max(whole.left, int(last or 0))
        spans.append(Span(icon, left, max(_SHORTEST, whole.left + whole.width - left)))
    attempts = len(step.facts.get("attempts") or ())
    rows = [_row(step.name, step, spans, f"{attempts + 1} attempts" if attempts else "", now, level=1)]
    for part in step.facts.get("instructions") or ():
        seconds = part.get("seconds")
        took = "cached" if part.get("cached") else duration(None if seconds is None else int(seconds * 1000))
        text = str(part["text"])
        name = text if len(text) <= INSTRUCTION_CHARS_MAX else text[: INSTRUCTION_CHARS_MAX - 1] + "…"
        rows.append(Row(name, "", "", (), took, level=2))
    return rows


def _row(
    name: str, of: Job | Step, spans: Sequence[Span], note: str = "", now: int = 0, level: int = 0
) -> Row:  # fmt: skip
    display = state_display(of.state)
    end = now if of.finished_ms is None else of.finished_ms
    took = duration(end - of.started_ms) if spans and of.started_ms is not None else ""
    return Row(name, display.icon, display.word, spans, took, note, level)
