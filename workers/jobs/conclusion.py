"""How a job ends: with a verdict, or given back because the machine is to blame."""

import structlog

from pipelines.state import Outcome
from workers import store
from workers.db.session import persist
from workers.jobs.context import WorkerContext
from workers.store.jobs import machine_faults
from workers.store.jobs.leases import Claim

_log = structlog.get_logger()


def finish(context: WorkerContext, claim: Claim, outcome: Outcome) -> None:
    """Records the verdict if the job is still this attempt's, and wakes workers for the jobs that waited for it."""
    finished = persist(
        context.database, lambda session: store.finish_job(session, claim.job_id, claim.attempt, outcome)
    )
    context.live.changed(claim.run_id)
    context.notify_all(finished.ready_job_ids)


def conclude(context: WorkerContext, claim: Claim, outcome: Outcome) -> bool:
    """Records the verdict, unless the machine is to blame: then the job is queued again, within its attempts.

    True where the job has ended. Raises StaleAttemptError.
    """
    if machine_faults.is_fault(outcome):
        context.engine_watch.suspect()
        attempts_max = context.settings.attempts_max
        found = persist(
            context.database,
            lambda session: machine_faults.give_back(session, claim.job_id, claim.attempt, outcome, attempts_max),
        )
        if found.given_back:
            _log.warning("a job is given back", job=claim.job_id, problem=outcome.message)
            context.live.changed(claim.run_id)
            context.notify_all(found.ready_job_ids)
            return False
        if found.attempts > 1:
            outcome = _given_up(outcome, found.attempts)
    finish(context, claim, outcome)
    return True


def _given_up(outcome: Outcome, attempts: int) -> Outcome:
    sentence = f"{outcome.message.rstrip('.')}; given up after {attempts} attempts (HEADWAY_ATTEMPTS_MAX)"
    return Outcome(outcome.state, outcome.reason, sentence, outcome.exit_code, outcome.detail)
