"""The spans of a job's attempt: what the worker does for it, and each of its steps."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from pipelines.state import Outcome, State
from runner import events
from workers.db.models import Step
from workers.store.jobs.leases import Claim
from workers.tracing.exporter import SpanExporter
from workers.tracing.rows import failure_of, result_of
from workers.tracing.span import Span, Trace, Value, short

MS = 1_000_000


class Part(NamedTuple):
    """What a span below the job's is about. ``number`` tells those of the same name apart."""

    name: str
    of: str
    number: int
    start_ns: int


class JobTrace:
    """Follows one attempt at a job. Its times are the database's: the machine's clock is behind it by ``behind_ns``."""

    def __init__(self, exporter: SpanExporter, trace: Trace, claim: Claim, behind_ns: int) -> None:
        self._exporter = exporter
        self._trace = trace
        self._claim = claim
        self._behind_ns = behind_ns
        self._began_ns = self._now_ns()
        self._started_ns: dict[int, int] = {}
        self._used: dict[int, events.StepMeasured] = {}

    def _now_ns(self) -> int:
        return time.time_ns() + self._behind_ns

    @contextmanager
    def timed(self, what: str, of: str) -> Iterator[None]:
        """A span for the time of the block. ``of`` is the name of the step, service or image, or empty."""
        start_ns, failure = self._now_ns(), ""
        try:
            yield
        except BaseException as error:
            failure = type(error).__name__  # its text may hold anything
            raise
        finally:
            self._send(Part(what, of, start_ns, start_ns), short({"headway.of": of}), failure)

    def following(self, emit: events.Emit, steps: Mapping[int, Step]) -> events.Emit:
        """``emit``, with a span for each step that ends. ``steps`` are the rows, by their numbers."""
        for number, step in steps.items():
            if step.state is State.RUNNING and step.started_ms:  # an earlier process began it
                self._started_ns[number] = step.started_ms * MS

        def follow(event: events.Event) -> None:
            if isinstance(event, events.StepStarted):
                self._started_ns.setdefault(event.step, self._now_ns())
            elif isinstance(event, events.StepMeasured):
                self._used[event.step] = event
            elif isinstance(event, events.StepFinished) and event.step in steps:
                self._step_ended(steps[event.step], event.outcome)
            emit(event)

        return follow

    def _step_ended(self, step: Step, outcome: Outcome) -> None:
        start_ns = self._started_ns.pop(step.number, None)
        if start_ns is None:  # it was skipped
            return
        used = self._used.pop(step.number, None)
        attributes = short(
            {
                "cicd.pipeline.task.name": step.name,
                "cicd.pipeline.task.run.id": str(step.id),
                "cicd.pipeline.task.run.result": result_of(outcome.state),
                "headway.step.kind": step.kind,
                "headway.reason": outcome.reason.value if outcome.reason else None,
                "process.exit.code": outcome.exit_code,
                "headway.step.memory_peak_bytes": (used and used.memory_peak_bytes) or None,
                "headway.step.cpu_ms": round(used.cpu_s * 1000) if used else None,
            }
        )
        failure = failure_of(outcome.state, outcome.reason)
        self._send(Part("step", step.name, step.number, start_ns), attributes, failure)

    def _send(self, part: Part, attributes: Mapping[str, Value], failure: str) -> None:
        trace, claim = self._trace, self._claim
        self._exporter.send(
            Span(
                f"{part.name} {part.of}".strip(),
                trace.id,
                trace.part(claim.job_id, claim.origin, f"{part.name} {part.of}", part.number),
                trace.job(claim.job_id, claim.origin),
                part.start_ns,
                self._now_ns(),
                attributes,
                failure,
            )
        )

    def given_back(self) -> Span:
        """The job's span where this attempt has come to no verdict: another one does."""
        trace, claim = self._trace, self._claim
        own = trace.job(claim.job_id, claim.origin)
        attempt = short({"headway.attempt": claim.attempt})
        return Span("job", trace.id, own, trace.root, self._began_ns, self._now_ns(), attempt, "given_back")
