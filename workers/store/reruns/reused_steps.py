"""Results of steps that later runs take: kept, found, and made those of a step that does not run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from pipelines.state import State
from runner.reuse.keys import PART_CHARACTERS
from workers.db.models import Artifact, Job, ReuseRecord, Run, Step
from workers.db.session import now_ms
from workers.store.common import lock_attempt
from workers.store.logs import share_logs
from workers.store.reruns.copies import copy_artifacts, copy_reports, kept_artifacts


@dataclass(frozen=True)
class FoundResult:
    """A result, the number of its run, and its artifacts."""

    record: ReuseRecord
    run_number: int
    artifacts: Sequence[Artifact] = ()


@dataclass(frozen=True)
class NewResult:
    """The result of a step that has passed."""

    step_number: int
    key: str
    title: str
    parts: Mapping[str, str]
    duration_ms: int


def keep_result(session: Session, repo_id: int, job_id: int, attempt: int, new: NewResult) -> None:
    """Keeps the result. It counts once the run has passed. Raises StaleAttemptError."""
    lock_attempt(session, job_id, attempt)
    job = session.get_one(Job, job_id)
    count = select(func.count()).select_from(Artifact).where(kept_artifacts(job, [new.step_number]))
    session.add(
        ReuseRecord(
            repo_id=repo_id, job_id=job_id, step_number=new.step_number, key=new.key, title=new.title,
            parts={name: digest[:PART_CHARACTERS] for name, digest in new.parts.items()},
            artifacts=session.scalars(count).one(), duration_ms=new.duration_ms,
            created_ms=session.scalars(select(now_ms())).one(),
        )
    )  # fmt: skip


def result_with_key(session: Session, repo_id: int, key: str) -> FoundResult | None:
    """The newest result of the repository with this key, if its run has passed and all its artifacts are there."""
    found = session.execute(_results(repo_id).where(ReuseRecord.key == key)).first()
    if found is None:
        return None
    record, number = found
    artifacts = _artifacts(session, record)
    return FoundResult(record, number, artifacts) if artifacts is not None else None


def latest_result(session: Session, repo_id: int, title: str) -> FoundResult | None:
    """The newest result of a step, whatever its key."""
    found = session.execute(_results(repo_id).where(ReuseRecord.title == title)).first()
    return FoundResult(*found) if found else None


def _results(repo_id: int) -> Select[ReuseRecord, int]:
    return (
        select(ReuseRecord, Run.number)
        .join(Job, Job.id == ReuseRecord.job_id)
        .join(Run, Run.id == Job.run_id)
        .where(ReuseRecord.repo_id == repo_id, Run.state == State.PASSED)
        .order_by(ReuseRecord.id.desc())
        .limit(1)
    )


def _artifacts(session: Session, record: ReuseRecord) -> Sequence[Artifact] | None:
    """What the step has kept; None if some of it has expired."""
    job = session.get_one(Job, record.job_id)
    query = select(Artifact).where(kept_artifacts(job, [record.step_number])).order_by(Artifact.path)
    found = session.scalars(query).all()
    return found if len(found) == record.artifacts else None


def take_result(session: Session, job_id: int, attempt: int, record_id: int, message: str) -> bool:
    """Makes the step of this number what the result is: its log, facts, artifacts and reports.

    False, with nothing to commit, if something of the result is gone. Raises StaleAttemptError.
    """
    origin = lock_attempt(session, job_id, attempt)
    record = session.get(ReuseRecord, record_id)
    source = session.get(Job, record.job_id) if record else None
    if record is None or source is None:
        return False
    step = session.scalars(select(Step).where(Step.job_id == job_id, Step.number == record.step_number)).one()
    if step.state is State.PASSED:  # the acknowledgement of the commit was lost
        return True
    # The lock keeps the run from being removed before this transaction ends.
    run = session.scalars(select(Run).where(Run.id == source.run_id).with_for_update()).one_or_none()
    number, target = record.step_number, session.get_one(Job, job_id)
    there = select(Step).where(Step.job_id == source.id, Step.number == number, Step.state == State.PASSED)
    ended = session.scalars(there).one_or_none()
    if run is None or ended is None or _artifacts(session, record) is None:
        return False
    logged = share_logs(session, source.id, {number: ended.attempt}, (job_id, origin))
    if ended.log_bytes and not logged:
        return False
    step.state, step.reason, step.message, step.exit_code = State.PASSED, None, message, ended.exit_code
    step.attempt, step.log_bytes, step.log_lines = origin, ended.log_bytes, ended.log_lines
    step.started_ms = step.finished_ms = session.scalars(select(now_ms())).one()
    step.facts = {**ended.facts, "reused": {"run": run.number, "duration_ms": record.duration_ms}}
    session.flush()
    copy_artifacts(session, source, target, [number], attempt=origin)
    copy_reports(session, source, target, [number], attempt=origin)
    return True
