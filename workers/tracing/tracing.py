"""Traces for the processes that run jobs or end them: what they call, also where no traces are wanted."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.events import Emit
from runner.timing import Timed, untimed
from workers import store
from workers.db.models import Step
from workers.db.session import db_now_ms, reading, transaction
from workers.settings import Settings
from workers.store.jobs.leases import Claim
from workers.store.processes.installation import NUMBER_MAX
from workers.tracing.exporter import SpanExporter
from workers.tracing.job_trace import MS, JobTrace
from workers.tracing.rows import ended_spans, trace_of

_log = structlog.get_logger()


@dataclass(frozen=True)
class JobTiming:
    """What a job's way through the worker reports to. Without a ``trace`` it costs nothing."""

    trace: JobTrace | None = None

    @property
    def timed(self) -> Timed:
        """Around what takes time."""
        return self.trace.timed if self.trace else untimed

    def following(self, emit: Emit, steps: Mapping[int, Step]) -> Emit:
        """``emit``, with a span for each step that ends."""
        return self.trace.following(emit, steps) if self.trace else emit


UNTRACED = JobTiming()


def open_tracing(settings: Settings, database: Engine) -> "Tracing":
    """For a process that ends jobs which it has not run."""
    exporter, installation = SpanExporter(), ""
    if exporter.on:
        with transaction(database) as session:
            installation = store.installation(session, secrets.randbelow(NUMBER_MAX))
    return Tracing(database, installation, settings.run_url, exporter)


@dataclass(frozen=True)
class Tracing:
    """Traces of the runs in this database. Where none are wanted, and where something is wrong, nothing happens."""

    database: Engine
    installation: str
    run_url: Callable[[str, int], str]
    exporter: SpanExporter = field(default_factory=SpanExporter)

    @contextmanager
    def job(self, claim: Claim) -> Iterator[JobTiming]:
        """Follows an attempt at a job; at the end of the block it has ended, or was given back."""
        trace = self._begin(claim) if self.exporter.on else None
        try:
            yield JobTiming(trace)
        finally:
            if trace is not None and not self.ended(claim.job_id, claim.attempt):
                self.exporter.send(trace.given_back())

    def _begin(self, claim: Claim) -> JobTrace | None:
        try:
            with reading(self.database) as session:
                before_ns = time.time_ns()
                behind_ns = db_now_ms(session) * MS - (before_ns + time.time_ns()) // 2
                trace = trace_of(session, self.installation, claim.run_id)
        except SQLAlchemyError as error:
            _log.warning("a job has no trace", job=claim.job_id, error=str(error))
            return None
        return JobTrace(self.exporter, trace, claim, behind_ns) if trace else None

    def ended(self, job_id: int, attempt: int | None = None) -> bool:
        """Sends the spans of a job that has ended, and that of its run where it was the last.

        False if it has not ended, or with another ``attempt``.
        """
        if not self.exporter.on:
            return False
        try:
            with reading(self.database) as session:
                spans = ended_spans(session, self.installation, self.run_url, job_id, attempt)
        except SQLAlchemyError as error:
            _log.warning("a job has no trace", job=job_id, error=str(error))
            return False
        self.exporter.send(*spans)
        return bool(spans)
