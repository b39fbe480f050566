"""What a worker records of its job and steps. Each write names (job, attempt); one from a stale attempt is refused."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pipelines.state import Outcome, Reason, State
from workers.db.models import Job, Step
from workers.db.session import db_now_ms, now_ms
from workers.store.common import lock_attempt
from workers.store.jobs.completion import Finished, cancellation_outcome, end_job, lock_job, settle

SERVICE_MESSAGE_CHARS_MAX = 4_000
"""As much is kept of the sentence about how a service ended, which has the end of its log."""
_PLANNED = ("name", "image", "after")
PULLS_COUNT_MAX = 100
"""So many pulls of images are noted of a job."""
PULLED_NAME_CHARS_MAX = 500
"""As much is kept of an image's name."""


def finish_job(session: Session, job_id: int, attempt: int, outcome: Outcome) -> Finished:
    """Ends the job and skips its steps that did not start. With its last job the run ends too."""
    run, job = lock_job(session, job_id, attempt)
    stopped = cancellation_outcome(run, job)
    if outcome.state is State.CANCELED and stopped and stopped.reason is Reason.SUPERSEDED:
        outcome = stopped  # the worker knows who canceled it, but not that a newer run did
    end_job(session, job, outcome)
    return settle(session, run)


def start_step(session: Session, job_id: int, attempt: int, number: int) -> None:
    """Notes that the step runs. Idempotent within an attempt."""
    origin = lock_attempt(session, job_id, attempt)
    session.execute(
        update(Step)
        .where(Step.job_id == job_id, Step.number == number, Step.state == State.QUEUED)
        .values(state=State.RUNNING, attempt=origin, started_ms=now_ms())
    )


def finish_step(
    session: Session,
    job_id: int,
    attempt: int,
    number: int,
    outcome: Outcome,
    log: tuple[int, int] = (0, 0),
    facts: dict[str, Any] | None = None,
) -> None:
    """Notes how the step ended, or that it was skipped. ``log`` is how many bytes and lines it wrote."""
    origin = lock_attempt(session, job_id, attempt)
    values: dict[str, Any] = {
        "state": outcome.state,
        "reason": outcome.reason,
        "message": outcome.message,
        "exit_code": outcome.exit_code,
        "attempt": origin,
        "log_bytes": log[0],
        "log_lines": log[1],
        "finished_ms": now_ms(),
    }
    if facts is not None:
        values["facts"] = facts
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(values))


def set_log_size(session: Session, job_id: int, attempt: int, number: int, log: tuple[int, int]) -> None:
    """Notes how many bytes and lines are stored of a step that has not ended."""
    lock_attempt(session, job_id, attempt)
    values = {"log_bytes": log[0], "log_lines": log[1]}
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(values))


def set_step_facts(session: Session, job_id: int, attempt: int, number: int, facts: dict[str, Any]) -> None:
    """Replaces the step's facts: its image, what it pushed, its Dockerfile's instructions."""
    lock_attempt(session, job_id, attempt)
    session.execute(update(Step).where(Step.job_id == job_id, Step.number == number).values(facts=facts))


def note_job(session: Session, job_id: int, attempt: int, sentence: str) -> None:
    """Sets the message that says what the job waits for. The outcome replaces it when the job ends."""
    lock_attempt(session, job_id, attempt)
    session.execute(update(Job).where(Job.id == job_id).values(message=sentence))


def waiting_service(planned: dict[str, Any]) -> dict[str, Any]:
    """A service that has not begun: what is known of it since the job was planned."""
    return {**{key: planned[key] for key in _PLANNED if key in planned}, "state": "waiting", "message": ""}


def set_service(
    session: Session, job_id: int, attempt: int, name: str, said: dict[str, Any], *, has_container: bool = False
) -> None:  # fmt: skip
    """Notes what a service of the job does, and since when; what else it is, is known since the job was planned.

    With ``has_container``, its container has just started.
    """
    _, job = lock_job(session, job_id, attempt)
    said = {**said, "message": str(said["message"])[:SERVICE_MESSAGE_CHARS_MAX]}
    said |= _service_times(str(said["state"]), db_now_ms(session), has_container=has_container)
    job.services = [{**each, **said} if each["name"] == name else each for each in job.services]
    session.flush()


def _service_times(state: str, now: int, *, has_container: bool) -> dict[str, int | None]:
    """The times that a change sets. Where a service starts again, those of before are gone."""
    if state == "starting":
        begun = {"begun_ms": now, "started_ms": None, "ready_ms": None, "finished_ms": None}
        return {"started_ms": now} if has_container else begun
    return {"ready_ms": now} if state == "ready" else {"finished_ms": now}


def set_pull(
    session: Session, job_id: int, attempt: int, image: str, *, ended: bool, size_bytes: int, failed: bool
) -> None:  # fmt: skip
    """Notes that the pull of an image begins or has ended.

    One that begins takes the place of one of the same image that has no end: its process has died. Of more than
    ``PULLS_COUNT_MAX`` pulls, those that begin last are not noted.
    """
    _, job = lock_job(session, job_id, attempt)
    now, image = db_now_ms(session), image[:PULLED_NAME_CHARS_MAX]
    is_open = [each["image"] == image and each["finished_ms"] is None for each in job.pulls]
    if not ended:
        begun = {"image": image, "started_ms": now, "finished_ms": None, "downloaded_bytes": 0, "failed": False}
        others = [each for each, replaced in zip(job.pulls, is_open, strict=True) if not replaced]
        job.pulls = [*others, begun][:PULLS_COUNT_MAX]
    else:
        end = {"finished_ms": now, "downloaded_bytes": size_bytes, "failed": failed}
        job.pulls = [{**each, **end} if mine else each for each, mine in zip(job.pulls, is_open, strict=True)]
    session.flush()


def steps_by_number(session: Session, job_id: int) -> dict[int, Step]:
    """The job's steps by their numbers."""
    return {step.number: step for step in session.scalars(select(Step).where(Step.job_id == job_id))}
