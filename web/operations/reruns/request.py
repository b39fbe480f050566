"""What a person asks to run again, and what the new run and the audit log keep of it."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from web.operations.errors import ConflictError, InvalidInputError
from workers import store
from workers.db.models import Run
from workers.store.reruns.choice import Asked, NothingToRunError, Rerun, as_stored, choose

REASON_CHARS_MAX = 500
JOBS_COUNT_MAX = 200
ALL = Asked()


def asked_for(*, failed: bool, jobs: Iterable[str], from_step: bool = False) -> Asked:
    """What a request asks for: everything that did not pass, or jobs by their titles. Raises InvalidInputError.

    With ``from_step`` failed jobs go on from the step that failed.
    """
    titles = tuple(dict.fromkeys(jobs))
    if failed and titles:
        raise InvalidInputError("Ask for the failed jobs, or name jobs: not both.")
    if len(titles) > JOBS_COUNT_MAX:
        raise InvalidInputError(f"A request names at most {JOBS_COUNT_MAX} jobs, and this one {len(titles)}.")
    return Asked(failed or (from_step and not titles), titles, from_step)


def checked_reason(reason: str) -> str:
    """The reason as one line. Raises InvalidInputError if it is too long."""
    line = " ".join("".join(char if char.isprintable() else " " for char in reason).split())
    if len(line) > REASON_CHARS_MAX:
        raise InvalidInputError(f"The reason is {len(line)} characters long; {REASON_CHARS_MAX} are allowed.")
    return line


def request_for(session: Session, run: Run, asked: Asked, by: str, reason: str) -> Rerun:
    """What the new run keeps. Of a run that was never planned, all runs again. Raises ConflictError."""
    jobs = store.jobs_of(session, run.id)
    if not asked or not (asked.from_step or any(job.plan for job in jobs)):
        return as_stored(asked, None, by, reason)
    try:
        return as_stored(asked, choose(session, jobs, asked), by, reason)
    except NothingToRunError as error:
        raise ConflictError(f"Nothing of run {run.number} would run again. {error}") from None


def in_words(request: Rerun, number: int) -> str:
    """For the audit log."""
    what = f", of {request['what']}" if request["what"] else ""
    reason = f"; reason: {request['reason']}" if request["reason"] else ""
    return f"as run {number}{what}{reason}"
