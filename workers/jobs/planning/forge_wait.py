"""Jobs whose repository cannot be reached for the moment: they are given back, and tried again after a pause."""

import structlog

from pipelines.state import Outcome, State
from runner.source.git.server import TransientGitError
from workers.db.session import transaction
from workers.jobs.context import WorkerContext
from workers.store.jobs import delays
from workers.store.jobs.leases import Claim

_log = structlog.get_logger()


def wait_for_forge(context: WorkerContext, claim: Claim, error: TransientGitError) -> Outcome | None:
    """Gives the job back for a pause. Returns how it ends instead, where it was tried for long enough.

    Raises StaleAttemptError.
    """
    why = delays.Delay(str(error), context.settings.fetch_retry_s, error.pause_s)
    with transaction(context.database) as session:
        found = delays.delay(session, claim.job_id, claim.attempt, why)
    if found.given_back:
        _log.warning("a repository cannot be reached; trying again", job=claim.job_id, problem=str(error))
        return None
    tried = f"; tried {found.tries} times in {_words(found.tried_s)}" if found.tries > 1 else ""
    sentence = f"{error}{tried}; run this again when it answers"
    return Outcome(State.BROKEN, error.reason, sentence, detail=error.detail)


def _words(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"  # noqa: PLR2004 - two minutes
