"""Records a job: turns the runner's events into rows, the stored log and the live tail."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self, assert_never

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pipelines.state import State
from runner import events
from runner.threads import in_this_context
from workers import store
from workers.db.session import persist, transaction
from workers.disk import once_there_is_room
from workers.jobs.job_events import write_job_event
from workers.logs import LogStore, LogWriter
from workers.reports.storage import StoredReports
from workers.store.jobs.leases import Claim
from workers.streaming.publisher import LogPublisher
from workers.streaming.redis_stream import LiveTail

_FLUSH_EVERY_S = 0.1
_FACTS_EVERY_MS = 300

_PlainFact = events.StepMeasured | events.CachesUsed | events.ProblemLinesFound | events.ImageBuilt
_FactEvent = _PlainFact | events.StepRetried | events.ReportsRead | events.InstructionChanged | events.ImagePushed
_LearnedEvent = _FactEvent | events.StepReused

_log = structlog.get_logger()


@dataclass
class _Facts:
    """What is known about a step. ``dirty`` until it is written to its row."""

    values: dict[str, Any]
    dirty: bool = False


class Recorder:
    """Records the events of one job. May be called from several threads; the events of each step come in order.

    A call raises StaleAttemptError once the job belongs to another attempt, and any other error of an earlier write,
    also one of the background thread. ``now_ms`` is the time of output; rows get the database's time.
    """

    def __init__(
        self,
        engine: Engine,
        logs: LogStore,
        live: LiveTail | None,
        claim: Claim,
        steps: Mapping[int, int],
        now_ms: Callable[[], int],
        reports: StoredReports | None = None,
    ) -> None:
        self._engine = engine
        self._logs = logs
        self._claim = claim
        self._steps = steps
        self._now_ms = now_ms
        self._reports = reports
        self._publisher = None if live is None else LogPublisher(live, claim.run_id, claim.origin)
        self._writers: dict[int, LogWriter] = {}
        self._facts: dict[int, _Facts] = {}
        self._facts_written_ms = 0
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=in_this_context(self._flush), name=f"flush-{claim.job_id}", daemon=True)
        self._thread.start()

    def __call__(self, event: events.Event) -> None:
        """Records one event. It is written when this returns, or by the background thread within 100 ms."""
        if self._error is not None:
            raise self._error
        self._take(event)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.StepOutput():
                self._output(event)
            case events.StepStarted():
                self._started(event.step)
            case events.StepFinished():
                self._finished(event)
            case events.JobNote() | events.ServiceChanged() | events.ImagePullChanged():
                self._write(lambda session: write_job_event(session, self._fence, event))
            case _:
                self._learned(event)

    def _learned(self, event: _LearnedEvent) -> None:
        match event:
            case events.StepRetried():
                self._retried(event)
            case events.ReportsRead():
                self._reported(event)
            case events.StepReused():
                self._reused(event)
            case events.InstructionChanged():
                self._instruction(event)
            case events.ImagePushed():
                self._pushed(event)
            case _:
                self._set_facts(event.step, _facts_of(event))

    def close(self) -> None:
        """Writes what is buffered. Logs of unfinished steps stay open for the next attempt."""
        self._stop.set()
        self._thread.join()
        with self._lock:
            writers = dict(self._writers)
            self._writers.clear()
        with ExitStack() as at_the_end:
            if self._publisher is not None:
                at_the_end.callback(self._publisher.close)
            sizes = {step: _end_log(step, writer, writer.suspend)[:2] for step, writer in writers.items()}
            if sizes:
                self._write_sizes(sizes)

    def __enter__(self) -> Self:
        """The recorder itself, closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    @property
    def _fence(self) -> tuple[int, int]:
        return self._claim.job_id, self._claim.attempt

    def _write(self, change: Callable[[Session], None]) -> None:
        persist(self._engine, change)
        if self._publisher is not None:
            self._publisher.changed()

    def _writer(self, step: int) -> LogWriter:
        with self._lock:
            if step not in self._writers:
                claim = self._claim
                open_writer = partial(self._logs.writer, claim.run_id, claim.job_id, step, claim.attempt)
                self._writers[step] = once_there_is_room(open_writer)
            return self._writers[step]

    def _started(self, step: int) -> None:
        self._writer(step)
        self._write(lambda session: store.start_step(session, *self._fence, step))

    def _output(self, event: events.StepOutput) -> None:
        writer = self._writer(event.step)
        known = writer.size_bytes - event.offset
        if known < 0:
            raise ValueError(f"Step {event.step}: bytes are missing before offset {event.offset}.")
        # A worker that takes over a running container gets its output from the beginning.
        new = event.data[known:] if known else event.data
        writer.append(new, event.stream, self._now_ms())
        if self._publisher is not None and new:
            self._publisher.output(self._steps[event.step], event.offset + known, new)

    def _finished(self, event: events.StepFinished) -> None:
        step, size = event.step, [0, 0]
        with self._lock:
            writer = self._writers.pop(step, None)
            facts = self._facts.pop(step, None)
        outcome = event.outcome
        if writer is not None:
            *size, problem = _end_log(step, writer, writer.close)
            if problem and outcome.state is not State.BROKEN:
                outcome = replace(outcome, message="; ".join(filter(None, (outcome.message, problem))))
        values = None if facts is None else facts.values
        log = (size[0], size[1])
        self._write(lambda session: store.finish_step(session, *self._fence, step, outcome, log, values))
        if self._publisher is not None:
            self._publisher.ended(self._steps[step])

    def _retried(self, event: events.StepRetried) -> None:
        """A process that goes on with the job needs to find all that the attempts before wrote."""
        once_there_is_room(self._writer(event.step).flush)
        self._set_facts(event.step, {"attempts": [_attempt(ended) for ended in event.attempts]})

    def _reported(self, event: events.ReportsRead) -> None:
        if self._reports is not None:
            self._reports.keep(event.step, event.reports)
        if self._publisher is not None:
            self._publisher.changed()

    def _reused(self, event: events.StepReused) -> None:
        """Its rows have been written with the decision."""
        if self._publisher is not None:
            self._publisher.changed()
            self._publisher.ended(self._steps[event.step])

    def _instruction(self, event: events.InstructionChanged) -> None:
        shown = {"index": event.index, "text": event.text, "cached": event.cached}
        shown |= {"seconds": event.seconds, "error": event.error}
        with self._lock:
            facts = self._facts.setdefault(event.step, _Facts({}))
            others = [each for each in facts.values.get("instructions", ()) if each["index"] != event.index]
            instructions = sorted([*others, shown], key=lambda each: int(each["index"]))
            facts.values = facts.values | {"instructions": instructions}
            facts.dirty = True

    def _pushed(self, event: events.ImagePushed) -> None:
        pushed = {"repo": event.repo, "tag": event.tag, "digest": event.digest, "image_id": event.image_id}
        with self._lock:
            before = self._facts.get(event.step, _Facts({})).values.get("pushed", [])
        # An attempt pushes again what an earlier one has pushed.
        others = [each for each in before if (each["repo"], each["tag"]) != (event.repo, event.tag)]
        self._set_facts(event.step, {"pushed": [*others, pushed]})

    def _set_facts(self, step: int, values: dict[str, Any]) -> None:
        with self._lock:
            facts = self._facts.setdefault(step, _Facts({}))
            facts.values = facts.values | values
            facts.dirty = True

    def _flush(self) -> None:
        """The background thread: it writes what is buffered when no more output comes."""
        while not self._stop.wait(_FLUSH_EVERY_S):
            try:
                self._flush_once()
            except Exception as error:  # noqa: BLE001 - the next call raises it, and the job ends with it
                self._error = error
                return

    def _flush_once(self) -> None:
        now = self._now_ms()
        with self._lock:
            writers = list(self._writers.values())
            dirty = {}
            if now - self._facts_written_ms >= _FACTS_EVERY_MS:
                dirty = {step: facts.values for step, facts in self._facts.items() if facts.dirty}
                for step in dirty:
                    self._facts[step].dirty = False
        for writer in writers:
            # On a full disk the bytes wait: the next output tries again, and ends the step where it does not fit.
            with suppress(OSError):
                writer.flush_older(now - self._logs.flush_after_ms)
        if dirty:
            self._facts_written_ms = now
            self._write(lambda session: self._write_facts(session, dirty))

    def _write_sizes(self, sizes: Mapping[int, tuple[int, int]]) -> None:
        """Where a job breaks, nothing else writes how much is stored of the steps that have not ended."""
        with suppress(store.StaleAttemptError, SQLAlchemyError), transaction(self._engine) as session:
            for step, log in sizes.items():
                store.set_log_size(session, *self._fence, step, log)

    def _write_facts(self, session: Session, facts: Mapping[int, dict[str, Any]]) -> None:
        for step, values in facts.items():
            store.set_step_facts(session, *self._fence, step, values)


def _attempt(ended: events.EndedAttempt) -> dict[str, Any]:
    outcome = ended.outcome
    verdict = {"state": outcome.state, "reason": outcome.reason, "message": outcome.message}
    times = {"started_ms": round(ended.started_s * 1000), "seconds": round(ended.seconds, 3)}
    return {**verdict, "exit_code": outcome.exit_code, **times, "log_end_bytes": ended.log_end_bytes}


def _end_log(step: int, writer: LogWriter, end: Callable[[], None]) -> tuple[int, int, str]:
    """Ends a log. Returns how many bytes and lines are stored, and what is wrong where not all of them could be."""
    with suppress(OSError, store.StaleAttemptError):  # if it does not help, the end says so
        once_there_is_room(writer.flush)
    try:
        end()
    except store.StaleAttemptError:
        pass  # the job is another attempt's, and so is what its rows say
    except OSError as error:
        _log.warning("the end of a log could not be stored", step=step, error=str(error))
        return writer.size_bytes, writer.lines, f"the end of its log could not be stored: {error.strerror or error}"
    return writer.size_bytes, writer.lines, ""


def _facts_of(event: _PlainFact) -> dict[str, object]:
    """What an event says of its step, as it is stored."""
    match event:
        case events.StepMeasured():
            used = {"memory_peak_bytes": event.memory_peak_bytes, "cpu_seconds": event.cpu_s}
            return {"usage": used | {"memory_limit_bytes": event.memory_limit_bytes}}
        case events.CachesUsed():
            return {"caches": [vars(use) for use in event.caches]}
        case events.ProblemLinesFound():
            return {"annotations": [asdict(each) for each in event.annotations]}
        case events.ImageBuilt():
            return {"image_id": event.image_id, "size_bytes": event.size_bytes}
        case _:
            assert_never(event)
