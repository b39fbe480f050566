"""Queries of stored logs. Each write names (job, attempt); one from a stale attempt is refused."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from pipelines.state import State
from workers.db.models import Job, LogSegment, StoredLog
from workers.db.session import now_ms
from workers.store.common import StaleAttemptError, insert_or, lock_attempt, table

OPEN, SUSPENDED, COMPLETE, CUT = "open", "suspended", "complete", "cut"


class LogAddress(NamedTuple):
    """A step's log in one attempt."""

    job_id: int
    attempt: int
    step_number: int


class FoundLog(NamedTuple):
    """What the rows say of a log. ``key`` is empty where none was stored; then ``before_blobs`` says where to look.

    ``before_blobs``: the job ran before there was a blob store, and its logs are files. ``running``: the attempt goes
    on, so that more output may come.
    """

    key: str
    state: str
    running: bool
    before_blobs: bool


def find_log(session: Session, address: LogAddress) -> FoundLog:
    """The log at this address."""
    of_log = (StoredLog.job_id == Job.id) & (StoredLog.step_number == address.step_number)
    query = (
        select(
            func.coalesce(StoredLog.blobs_of, StoredLog.key),
            StoredLog.state,
            Job.state,
            Job.attempt - Job.takeovers,
            Job.key,
        )
        .select_from(Job)
        .outerjoin(StoredLog, of_log & (StoredLog.attempt == address.attempt))
        .where(Job.id == address.job_id)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return FoundLog("", OPEN, running=False, before_blobs=False)
    key, state, job_state, origin, job_key = row
    running = job_state is State.RUNNING and origin == address.attempt
    return FoundLog(key or "", state or OPEN, running=running, before_blobs=not key and not job_key)


def open_log(session: Session, address: LogAddress, fresh_key: str) -> str:
    """The key of the log that is written from now on: of the one that is there, or ``fresh_key``.

    ``attempt`` is the one that writes; a log that it goes on with is found by its origin.
    """
    origin = lock_attempt(session, address.job_id, address.attempt)
    values = address._asdict() | {"attempt": origin, "key": fresh_key, "state": OPEN, "created_ms": now_ms()}
    same = insert_or(session, StoredLog).values(values).on_conflict_do_update(
        index_elements=["job_id", "step_number", "attempt"], set_={"state": OPEN}
    )  # fmt: skip
    key: str = session.execute(same.returning(table(StoredLog).c.key)).scalar_one()
    return key


def segments_of(session: Session, key: str, after: int = -1) -> Sequence[LogSegment]:
    """The segments with a number above ``after`` that hold the log's bytes, in the order in which they came to be."""
    query = select(LogSegment).where(
        LogSegment.log_key == key, LogSegment.number > after, LogSegment.replaced_ms.is_(None)
    )
    return session.scalars(query.order_by(LogSegment.number)).all()


def next_segment_number(session: Session, key: str) -> int:
    """The number for the next segment of a log: one more than that of any before, also of replaced ones."""
    last = select(LogSegment.number).where(LogSegment.log_key == key).order_by(LogSegment.number.desc()).limit(1)
    found = session.scalars(last).one_or_none()
    return 0 if found is None else found + 1


def add_segment(
    session: Session, address: LogAddress, values: dict[str, Any], replaces: Collection[int] = ()
) -> None:  # fmt: skip
    """Adds a segment, whose blob is stored, in place of others. Idempotent.

    Raises StaleAttemptError, also where another writer of the same log was faster.
    """
    lock_attempt(session, address.job_id, address.attempt)
    key, number = values["log_key"], values["number"]
    insert = insert_or(session, LogSegment).values(values)
    session.execute(insert.on_conflict_do_nothing(index_elements=["log_key", "number"]))
    mine = select(LogSegment.blob).where(LogSegment.log_key == key, LogSegment.number == number)
    if session.scalars(mine).one() != values["blob"]:
        raise StaleAttemptError(address.job_id, address.attempt)
    if replaces:
        old = (LogSegment.log_key == key) & LogSegment.number.in_(replaces)
        session.execute(update(table(LogSegment)).where(old).values(replaced_ms=now_ms()))


def end_log(session: Session, address: LogAddress, key: str, state: str) -> None:
    """Notes how the log ended."""
    lock_attempt(session, address.job_id, address.attempt)
    session.execute(update(table(StoredLog)).where(table(StoredLog).c.key == key).values(state=state))


def let_logs_go(session: Session, run_ids: Sequence[int]) -> None:
    """Marks the logs of these runs to be deleted."""
    jobs = select(Job.id).where(Job.run_id.in_(run_ids))
    logs = table(StoredLog)
    session.execute(update(logs).where(logs.c.job_id.in_(jobs)).values(job_id=None))


def ran_before_blobs(session: Session, run_ids: Sequence[int]) -> list[int]:
    """Those of these runs that may have logs of before the blob store."""
    query = select(Job.run_id).where(Job.run_id.in_(run_ids), Job.key == "", Job.attempt > 0)
    return sorted(set(session.scalars(query)))


def share_logs(
    session: Session, source_id: int, attempts: Mapping[int, int], target: tuple[int, int]
) -> set[int]:  # fmt: skip
    """Gives the job ``target`` (id, attempt) logs of the job ``source_id``: they share the bytes.

    ``attempts`` are by the steps. Returns which steps have a log; one that is being deleted is not among them.
    """
    query = select(StoredLog).where(
        StoredLog.job_id == source_id, StoredLog.step_number.in_(attempts), StoredLog.state.in_([COMPLETE, CUT])
    )
    # The lock keeps the logs from losing their job before this transaction ends.
    locked = query.order_by(StoredLog.key).with_for_update()
    found = session.scalars(locked, execution_options={"populate_existing": True}).all()
    fresh = [
        StoredLog(
            key=secrets.token_hex(16), job_id=target[0], attempt=target[1], step_number=log.step_number,
            state=log.state, blobs_of=log.blobs_of or log.key, created_ms=log.created_ms,
        )
        for log in found
        if log.attempt == attempts[log.step_number]
    ]  # fmt: skip
    session.add_all(fresh)
    session.flush()
    return {log.step_number for log in fresh}


def _marked_and_shared() -> Select[StoredLog]:
    """Logs that are to be deleted, and whose bytes a job's log shares."""
    sharing = aliased(StoredLog)
    used = select(sharing.key).where(sharing.blobs_of == StoredLog.key, sharing.job_id.is_not(None)).exists()
    return select(StoredLog).where(StoredLog.job_id.is_(None), used).order_by(StoredLog.key)


def has_shared_to_hand_over(session: Session) -> bool:
    """Is there something for ``hand_over_shared`` to do?"""
    return session.scalars(_marked_and_shared().limit(1)).first() is not None


def hand_over_shared(session: Session, limit: int) -> int:
    """Gives logs that are to be deleted to a job that shares their bytes, ``limit`` at most. Returns how many."""
    logs = session.scalars(_marked_and_shared().limit(limit).with_for_update()).all()
    for log in logs:
        heirs = select(StoredLog).where(StoredLog.blobs_of == log.key, StoredLog.job_id.is_not(None))
        heir = session.scalars(heirs.order_by(StoredLog.key).limit(1).with_for_update()).one_or_none()
        if heir is None:
            continue
        values = {"job_id": heir.job_id, "step_number": heir.step_number, "attempt": heir.attempt}
        session.execute(delete(table(StoredLog)).where(table(StoredLog).c.key == heir.key))
        session.execute(update(table(StoredLog)).where(table(StoredLog).c.key == log.key).values(values))
        session.expire_all()
    return len(logs)


def logs_to_delete(session: Session, limit: int, after: str = "") -> Sequence[str]:
    """Keys of logs without a job whose bytes no other log shares, in order, from behind the key ``after`` on."""
    sharing = aliased(StoredLog)
    used = select(sharing.key).where(sharing.blobs_of == StoredLog.key, sharing.job_id.is_not(None)).exists()
    query = select(StoredLog.key).where(StoredLog.job_id.is_(None), StoredLog.key > after, ~used)
    return session.scalars(query.order_by(StoredLog.key).limit(limit)).all()


def forget_log(session: Session, key: str) -> None:
    """Deletes the rows of a log whose blobs are gone."""
    session.execute(delete(table(LogSegment)).where(table(LogSegment).c.log_key == key))
    session.execute(delete(table(StoredLog)).where(table(StoredLog).c.key == key))


def segments_to_delete(session: Session, older_ms: int, limit: int) -> list[tuple[str, int, str]]:
    """Segments replaced more than ``older_ms`` ago, as (log, number, blob): a reader may have known of them."""
    query = select(LogSegment.log_key, LogSegment.number, LogSegment.blob).where(
        LogSegment.replaced_ms.is_not(None), LogSegment.replaced_ms <= now_ms() - older_ms
    )
    rows = session.execute(query.order_by(LogSegment.replaced_ms).limit(limit))
    return [(key, number, blob) for key, number, blob in rows]


def forget_segments(session: Session, segments: Sequence[tuple[str, int, str]]) -> None:
    """Deletes the rows of segments whose blobs are gone."""
    rows = table(LogSegment)
    for key, number, _blob in segments:
        session.execute(delete(rows).where(rows.c.log_key == key, rows.c.number == number))
