"""A worker process goes on with the job of one that has died on the same machine: a restart costs a job no time.

The steps' containers have not noticed: the engine runs them, and keeps their output. Where too little is left to go on
with, the job starts over at once, as its next attempt.
"""

import socket
from collections import Counter
from typing import NamedTuple

import structlog

from pipelines.plan import JobPlan
from pipelines.state import Outcome, State
from runner.errors import StepError
from runner.events import Stream
from runner.execution.job.job import JOURNAL
from runner.execution.job.journal import History, read_journal
from runner.execution.job.resumption import Resumption, StoredOutput, obstacle
from runner.logs.output import CUT_OFF
from runner.source.mirrors.mirror_store import end_orphaned_fetches
from workers import store
from workers.db.models import Step
from workers.db.session import reading, transaction
from workers.jobs.context import WorkerContext, load_job
from workers.jobs.job_task import run_claimed, work
from workers.jobs.leftovers import job_key
from workers.jobs.planning.job_inputs import fingerprint, folder_of, secrets_of
from workers.jobs.running_jobs import HeldJob, JobLock
from workers.logs import LogReader
from workers.logs.interface import CHUNKS_MAX
from workers.secrets.vault import VaultError
from workers.store.jobs import leases, takeovers

DEATHS_MAX = 5
"""A job whose worker process died more often, and was not stopped on purpose, starts over: it may be what kills it."""
NOTE = "The worker was restarted while this job ran, and goes on with it: nothing ran twice."
_END_BYTES = len(CUT_OFF) + 64

_log = structlog.get_logger()


class _Lost(NamedTuple):
    """Why a job cannot go on, and whether its worker was stopped on purpose."""

    why: str
    on_purpose: bool


def take_over(context: WorkerContext, name: str) -> None:
    """Goes on with the job of the file ``name`` in the folder of running jobs, if its process has died."""
    with context.running.take(name) as lock:
        claim = _claim(context, lock)
    if claim is not None:
        # It is queued again by now.
        work(context, claim.job_id)


def _claim(context: WorkerContext, lock: JobLock | None) -> leases.Claim | None:
    """Takes the job over, and runs it to its end. Returns the claim where the job could not go on."""
    held = lock.read() if lock else None
    if lock is None or held is None:
        return None
    with transaction(context.database) as session:
        owner, lease_s = context.claimer.owner, context.settings.lease_s
        claim = takeovers.take_over(session, held.abandoned, owner, lease_s, socket.gethostname())
    if claim is None:
        return None
    deaths = held.deaths + (not held.handed_over)
    lock.write(HeldJob(claim.job_id, claim.attempt, owner, deaths))
    left = _what_is_left(context, claim, deaths)
    if isinstance(left, str):
        return _start_over(context, claim, _Lost(left, held.handed_over))
    _log.warning("a job goes on after its worker process ended", job=claim.job_id, attempt=claim.attempt)
    run_claimed(context, claim, left)
    return None


def _start_over(context: WorkerContext, claim: leases.Claim, lost: _Lost) -> leases.Claim | None:
    """Gives the job back for its next attempt. Returns the claim if it may have one."""
    _log.warning("a job starts over after its worker process ended", job=claim.job_id, why=lost.why)
    end_orphaned_fetches(context.settings.mirrors_dir)
    with transaction(context.database) as session:
        if lost.on_purpose:
            leases.release(session, claim.job_id, claim.attempt)
            state: State | None = State.QUEUED
        else:
            reaped = takeovers.lose(session, claim, context.settings.attempts_max)
            state = reaped.state if reaped else None
    context.live.changed(claim.run_id)
    return claim if state is State.QUEUED else None


def _what_is_left(context: WorkerContext, claim: leases.Claim, deaths: int) -> Resumption | str:
    """What the job goes on with, or why it cannot."""
    folder = folder_of(context, claim)
    history = read_journal(folder / JOURNAL)
    if claim.plan is None or history is None:
        return "it was not prepared yet"
    if deaths > DEATHS_MAX:
        return f"its worker process died {deaths} times"
    with reading(context.database) as session:
        steps = store.steps_by_number(session, claim.job_id)
    left = _resumption(context, claim, history, steps)
    if unknown := history.opened.keys() - left.ended.keys() - left.begun.keys():
        return f"its step {min(unknown)} began, and its row does not say so"
    return _obstacle(context, claim, claim.plan, left) or left


def _obstacle(context: WorkerContext, claim: leases.Claim, plan: JobPlan, left: Resumption) -> str:
    try:
        job = load_job(context, claim)
        if fingerprint(context, job, secrets_of(context, job).values) != left.history.fingerprint:
            return "a secret was changed since it began"
        key = job_key(context.installation, claim.key)
        return obstacle(context.engine(), key, plan, folder_of(context, claim), left)
    except (StepError, VaultError) as error:
        return str(error)


def _resumption(
    context: WorkerContext, claim: leases.Claim, history: History, steps: dict[int, Step]
) -> Resumption:  # fmt: skip
    by_end = sorted(steps.values(), key=lambda step: (step.finished_ms or 0, step.number))
    ended = {
        step.number: Outcome(step.state, step.reason, step.message, step.exit_code)
        for step in by_end
        if step.state.final
    }
    begun = {
        number: _stored(context, claim, number, history.log_start(number))
        for number, step in steps.items()
        if step.state is State.RUNNING
    }
    return Resumption(history, ended, begun, NOTE)


def _stored(context: WorkerContext, claim: leases.Claim, step: int, start: int) -> StoredOutput:
    """What is stored of a step's output. Its present attempt began to write at ``start``."""
    place = (claim.run_id, claim.job_id, step, claim.origin)
    with context.logs.open(*place) as log:
        end = log.read(max(0, log.size_bytes - _END_BYTES))
        full = log.size_bytes >= context.settings.log_bytes_max or CUT_OFF.encode() in end
        return StoredOutput(log.size_bytes, bytes_of_streams(log, start), full)


def bytes_of_streams(log: LogReader, offset: int) -> dict[Stream, int]:
    """How many bytes of each stream are stored, from ``offset`` on."""
    sizes: Counter[Stream] = Counter()
    while chunks := log.chunks(offset, log.size_bytes - offset):
        # Of a full page, the last one's end is on the next.
        end = chunks[-1].offset if len(chunks) >= CHUNKS_MAX else log.size_bytes
        ends = (*(chunk.offset for chunk in chunks[1:]), end)
        for chunk, chunk_end in zip(chunks, ends, strict=True):
            sizes[chunk.stream] += chunk_end - max(chunk.offset, offset)
        offset = end
    return sizes
