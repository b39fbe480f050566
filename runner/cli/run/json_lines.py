"""The output of ``headway run --json``: one JSON object on each line, for programs."""

import codecs
import json
import threading
import time
from collections.abc import Callable
from typing import TextIO

from pipelines.plan import JobPlan
from pipelines.state import Outcome, State
from runner.cli.run.preparation import PreparationTimes
from runner.events import (
    Emit,
    Event,
    ImageBuilt,
    ImagePullChanged,
    ImagePushed,
    JobEvent,
    JobNote,
    ServiceChanged,
    StepFinished,
    StepOutput,
    StepRetried,
    StepReused,
    StepStarted,
)


class JsonLines:
    """Writes the objects of a run. Events may come from several threads."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def write(self, kind: str, **values: object) -> None:
        """Writes one object; keys without a value are left out."""
        shown = {"event": kind, **{key: value for key, value in values.items() if value is not None and value != ""}}
        with self._lock:
            self._out.write(json.dumps(shown) + "\n")
            self._out.flush()

    def finished(self, job: JobPlan, outcome: Outcome) -> None:
        """Writes how a job ended."""
        self.write("job_finished", job=job.title, **_values(outcome))

    def run_finished(self, state: State) -> None:
        """Writes how the run ended."""
        self.write("run_finished", state=str(state))

    def following(self, emit: Emit, job: JobPlan) -> Emit:
        """``emit``, which also writes the events of a job."""
        self.write("job_started", job=job.title)
        return _JobLines(self.write, emit, job)


class _JobLines:
    """The events of one job; those that only a page shows are left out."""

    def __init__(self, write: Callable[..., None], emit: Emit, job: JobPlan) -> None:
        self._write_line, self._emit, self._job = write, emit, job.title
        self._names = {step.number: step.name for step in job.steps}
        self._started_s: dict[int, float] = {}
        self._preparation = PreparationTimes()
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {number: decoder(errors="replace") for number in self._names}

    def __call__(self, event: Event) -> None:
        """Writes one event, and passes it on."""
        match event:
            case StepStarted(step=number):
                self._started_s[number] = time.monotonic()
                self._write("step_started", number)
            case StepOutput(step=number):
                text = self._decoders[number].decode(event.data)
                self._write("output", number, stream=str(event.stream), text=text)
            case StepFinished(step=number) | StepReused(step=number):
                self._finished(number, event)
            case StepRetried(step=number):
                self._write("step_retried", number, attempts=len(event.attempts))
            case ImageBuilt(step=number):
                self._write("image_built", number, image=event.image_id, size_bytes=event.size_bytes)
            case ImagePushed(step=number):
                self._write("image_pushed", number, image=f"{event.repo}:{event.tag}", digest=event.digest)
            case JobNote() | ImagePullChanged() | ServiceChanged():
                self._of_job(event)
            case _:
                pass
        self._emit(event)

    def _of_job(self, event: JobEvent) -> None:
        if isinstance(event, JobNote):
            self._write_line("note", job=self._job, text=event.text)
        elif isinstance(event, ServiceChanged):
            seconds = self._preparation.seconds(event)
            said = {"state": event.state, "seconds": _rounded(seconds), "message": event.message}
            self._write_line("service", job=self._job, service=event.name, **said)
        elif event.seconds is not None:
            said = {"seconds": _rounded(event.seconds), "size_bytes": event.downloaded_bytes, "failed": event.failed}
            self._write_line("image_pulled", job=self._job, image=event.image, **said)

    def _finished(self, number: int, event: StepFinished | StepReused) -> None:
        if rest := self._decoders[number].decode(b"", final=True):
            self._write("output", number, stream="stdout", text=rest)
        since = self._started_s.get(number)
        seconds = round(time.monotonic() - since, 3) if since is not None else None
        reused = event.since if isinstance(event, StepReused) else None
        self._write("step_finished", number, seconds=seconds, reused=reused, **_values(event.outcome))

    def _write(self, kind: str, number: int, **values: object) -> None:
        self._write_line(kind, job=self._job, step=self._names[number], number=number, **values)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _values(outcome: Outcome) -> dict[str, object]:
    """The verdict, its reason and its sentence."""
    reason = str(outcome.reason) if outcome.reason else None
    return {"state": str(outcome.state), "reason": reason, "exit_code": outcome.exit_code, "message": outcome.message}
