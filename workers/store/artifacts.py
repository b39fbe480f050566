"""Queries of artifacts and their blobs. Each write of a job names (job, attempt); a stale attempt is refused."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from workers.db.models import Artifact, ArtifactBlob, Job, SentTree, SharedCache, Step, StepReport
from workers.db.session import now_ms
from workers.store.common import CARRIED_ATTEMPT, insert_or, lock_attempt, table

UNUSED_MS = 3_600_000
"""A blob without an artifact stays so long: a step may be about to keep it."""
UNFINISHED_MS = 86_400_000
"""A blob that was never stored to its end stays so long."""


class Content(NamedTuple):
    """What is in a file."""

    sha256: str
    size_bytes: int


class Look(NamedTuple):
    """What is known of a file before it is read. ``sample`` is a digest of a few bytes of a large one."""

    size_bytes: int
    sample: str | None = None


class Marks(NamedTuple):
    """What is noted of a stored blob beside its content: its sample, and its seal."""

    sample: str | None = None
    seal: str | None = None


_NO_MARKS: Mapping[str, Marks] = {}


class NewArtifact(NamedTuple):
    """A file that a step keeps, whose bytes are the blob ``blob_key``."""

    path: str
    mode: int
    content: Content
    blob_key: str


class KeptArtifact(NamedTuple):
    """A file as it is shown: with the job and the step that kept it."""

    artifact: Artifact
    job: Job
    step_name: str


def use_blobs(session: Session, repo_id: int, fresh: Mapping[Content, str]) -> dict[Content, tuple[str, bool]]:
    """For each content the key of the repository's blob, and whether it is stored already.

    If not, the key is the fresh one, and ``blobs_are_stored`` has to follow. Idempotent.
    """
    blobs = table(ArtifactBlob)
    # An update, not a lock alone: housekeeping compares the time again before it drops a blob.
    of_content = (blobs.c.repo_id == repo_id) & blobs.c.sha256.in_([content.sha256 for content in fresh])
    live = of_content & blobs.c.dropped_ms.is_(None)
    _lock(session, live)
    used = update(blobs).where(live).values(used_ms=now_ms()).returning(blobs.c.sha256, blobs.c.key)
    known = {sha256: key for sha256, key in session.execute(used)}  # noqa: C416 - of rows to a dictionary
    new = {key: content.size_bytes for content, key in fresh.items() if content.sha256 not in known}
    begin_blobs(session, repo_id, new)
    return {content: (known.get(content.sha256, key), content.sha256 in known) for content, key in fresh.items()}


def begin_blobs(session: Session, repo_id: int, sizes_bytes: Mapping[str, int]) -> None:
    """Notes that blobs with these keys are about to be stored; ``blobs_are_stored`` has to follow. Idempotent."""
    new = [
        {"key": key, "repo_id": repo_id, "size_bytes": size_bytes, "used_ms": now_ms()}
        for key, size_bytes in sizes_bytes.items()
    ]
    if new:
        session.execute(insert_or(session, ArtifactBlob).values(new).on_conflict_do_nothing(index_elements=["key"]))


def looks_of_blobs(session: Session, repo_id: int, looks: Collection[Look]) -> frozenset[Look]:
    """Which of these looks a blob of the repository has, and which sizes without a sample.

    A file of another look is certainly new to it, if none of its size is without a sample.
    """
    blobs = table(ArtifactBlob)
    live = (blobs.c.repo_id == repo_id) & blobs.c.sha256.is_not(None) & blobs.c.dropped_ms.is_(None)
    sized = blobs.c.size_bytes.in_({look.size_bytes for look in looks})
    sampled = or_(blobs.c.sample.is_(None), blobs.c.sample.in_({look.sample for look in looks if look.sample}))
    found = select(blobs.c.size_bytes, blobs.c.sample).where(live, sized, sampled).distinct()
    return frozenset(Look(size_bytes, sample) for size_bytes, sample in session.execute(found))


def blobs_are_stored(
    session: Session, repo_id: int, stored: Mapping[str, Content], marks: Mapping[str, Marks] = _NO_MARKS
) -> dict[str, str]:
    """Notes that these blobs are stored. Returns the keys to use, by those that were given. Idempotent.

    It is another's key where its writer was faster.
    """
    blobs = table(ArtifactBlob)
    keys: dict[str, str] = {}
    for key, content in sorted(stored.items(), key=lambda each: each[1]):
        same = (blobs.c.repo_id == repo_id) & (blobs.c.sha256 == content.sha256) & blobs.c.dropped_ms.is_(None)
        values = {"sha256": content.sha256, "size_bytes": content.size_bytes, "used_ms": now_ms()}
        values |= marks.get(key, Marks())._asdict()
        keys[key] = key
        try:
            with session.begin_nested():
                session.execute(update(blobs).where(blobs.c.key == key).values(values))
        except IntegrityError:
            used = update(blobs).where(same).values(used_ms=now_ms()).returning(blobs.c.key)
            keys[key] = str(session.execute(used).scalar_one())
    return keys


def _lock(session: Session, which: ColumnElement[bool]) -> None:
    """Locks blobs in the one order, so that jobs which keep the same files do not wait for each other in a circle."""
    key = table(ArtifactBlob).c.key
    session.execute(select(key).where(which).order_by(key).with_for_update())


def replace_artifacts(
    session: Session, address: tuple[int, int, int], name: str, expire_s: int | None, files: Sequence[NewArtifact],
    *, first: bool,
) -> bool:  # fmt: skip
    """Adds what a step of (job, attempt, step) keeps; with ``first`` in place of all that it kept before. Idempotent.

    False, and nothing is added, where a blob was dropped meanwhile. Raises StaleAttemptError.
    """
    job_id, attempt, step_number = address
    origin = lock_attempt(session, job_id, attempt)
    rows = table(Artifact)
    if first:
        of_step = (rows.c.job_id == job_id) & (rows.c.step_number == step_number)
        session.execute(delete(rows).where(of_step))
    if not files:
        return True
    blobs, keys = table(ArtifactBlob), {file.blob_key for file in files}
    _lock(session, blobs.c.key.in_(keys))
    used = update(blobs).where(blobs.c.key.in_(keys), blobs.c.dropped_ms.is_(None)).values(used_ms=now_ms())
    if len(session.execute(used.returning(blobs.c.key)).all()) < len(keys):
        return False
    run_id = session.scalars(select(Job.run_id).where(Job.id == job_id)).one()
    shared = {
        "run_id": run_id, "job_id": job_id, "step_number": step_number, "attempt": origin, "name": name,
        "created_ms": now_ms(), "expires_ms": None if expire_s is None else now_ms() + expire_s * 1000,
    }  # fmt: skip
    values = [
        {
            **shared, "path": file.path, "mode": file.mode, "sha256": file.content.sha256,
            "size_bytes": file.content.size_bytes, "blob_key": file.blob_key,
        }
        for file in files
    ]  # fmt: skip
    same = ["job_id", "step_number", "attempt", "path"]
    session.execute(insert_or(session, Artifact).values(values).on_conflict_do_nothing(index_elements=same))
    return True


def _counts() -> ColumnElement[bool]:
    """An artifact of the attempt that counts, which has not expired."""
    unexpired = or_(Artifact.expires_ms.is_(None), Artifact.expires_ms > now_ms())
    return Artifact.attempt.in_([CARRIED_ATTEMPT, Job.attempt - Job.takeovers]) & unexpired


def artifacts_of_run(
    session: Session, run_id: int, limit: int, after_id: int = 0, folder: str = ""
) -> list[KeptArtifact]:
    """The artifacts of a run, or of a folder of it, in the order of their ids, ``limit`` at most."""
    query = (
        select(Artifact, Job, Step.name)
        .join(Job, Job.id == Artifact.job_id)
        .outerjoin(Step, (Step.job_id == Artifact.job_id) & (Step.number == Artifact.step_number))
        .where(Artifact.run_id == run_id, Artifact.id > after_id, _counts())
    )
    if folder:
        below = f"{folder}/"  # not LIKE, which SQLite compares without regard to case
        query = query.where(func.substr(Artifact.path, 1, len(below)) == below)
    found = session.execute(query.order_by(Artifact.id).limit(limit))
    return [KeptArtifact(artifact, job, name or "") for artifact, job, name in found]


def count_artifacts(session: Session, run_id: int, but: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """How many artifacts a run has, and how many bytes they are together; without those of the step ``but``.

    That is the id of its job, and its number.
    """
    query = select(func.count(), func.sum(Artifact.size_bytes)).select_from(Artifact)
    query = query.join(Job, Job.id == Artifact.job_id).where(Artifact.run_id == run_id, _counts())
    query = query.where(or_(Artifact.job_id != but[0], Artifact.step_number != but[1]))
    count, size_bytes = session.execute(query).one()
    return int(count), int(size_bytes or 0)


def artifact_by_id(session: Session, artifact_id: int) -> Artifact | None:
    """An artifact that counts, by its id."""
    query = select(Artifact).join(Job, Job.id == Artifact.job_id).where(Artifact.id == artifact_id, _counts())
    return session.scalars(query).one_or_none()


def artifact_of_job(session: Session, job_id: int, path: str) -> Artifact | None:
    """The file that a job has kept at this path; of two steps that did, the later one's."""
    query = select(Artifact).join(Job, Job.id == Artifact.job_id)
    query = query.where(Artifact.job_id == job_id, Artifact.path == path, _counts())
    return session.scalars(query.order_by(Artifact.step_number.desc()).limit(1)).one_or_none()


class ToRestore(NamedTuple):
    """A file to restore, the workflow that kept it, and its blob's seal."""

    artifact: Artifact
    workflow: str
    seal: str | None


def artifacts_to_restore(session: Session, run_id: int, workflows: Sequence[str]) -> list[ToRestore]:
    """What these workflows of a run have kept: in the order of their jobs and steps."""
    query = (
        select(Artifact, Job.name, ArtifactBlob.seal)
        .join(Job, Job.id == Artifact.job_id)
        .join(ArtifactBlob, ArtifactBlob.key == Artifact.blob_key)
        .where(Artifact.run_id == run_id, Job.run_id == run_id, Job.name.in_(workflows), _counts())
        .order_by(Job.number, Artifact.step_number, Artifact.path)
    )
    return [ToRestore(*row) for row in session.execute(query)]


def drop_expired_artifacts(session: Session, limit: int) -> int:
    """Removes artifacts that have expired, ``limit`` at most. Returns how many."""
    expired = select(Artifact.id).where(Artifact.expires_ms.is_not(None), Artifact.expires_ms <= now_ms())
    rows = table(Artifact)
    gone = delete(rows).where(rows.c.id.in_(expired.limit(limit))).returning(rows.c.id)
    return len(session.execute(gone).all())


def mark_unused_blobs(session: Session, limit: int) -> int:
    """Marks blobs to which no artifact, report, shared cache or sent tree refers, ``limit`` at most; how many."""
    blobs, now = table(ArtifactBlob), now_ms()
    unused = blobs.c.dropped_ms.is_(None) & ~exists().where(Artifact.blob_key == blobs.c.key)
    unused &= ~exists().where(StepReport.blob_key == blobs.c.key)
    unused &= ~exists().where(SharedCache.blob_key == blobs.c.key)
    unused &= ~exists().where(SentTree.blob_key == blobs.c.key)
    old = or_(
        blobs.c.repo_id.is_(None),
        blobs.c.sha256.is_not(None) & (blobs.c.used_ms <= now - UNUSED_MS),
        blobs.c.used_ms <= now - UNFINISHED_MS,
    )
    keys = select(blobs.c.key).where(unused, old).limit(limit)
    marked = update(blobs).where(blobs.c.key.in_(keys), unused, old).values(dropped_ms=now).returning(blobs.c.key)
    return len(session.execute(marked).all())


def blobs_to_delete(session: Session, limit: int) -> Sequence[str]:
    """Keys of blobs that are marked."""
    query = select(ArtifactBlob.key).where(ArtifactBlob.dropped_ms.is_not(None))
    return session.scalars(query.order_by(ArtifactBlob.key).limit(limit)).all()


def forget_blobs(session: Session, keys: Sequence[str]) -> None:
    """Deletes the rows of blobs that are gone from the blob store."""
    blobs = table(ArtifactBlob)
    session.execute(delete(blobs).where(blobs.c.key.in_(keys)))
