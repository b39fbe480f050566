"""Crons: how they are stored, and which scheduler starts one that is due."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from workers.db.models import Cron, Repo, Run
from workers.store.common import insert_or


def put_cron(session: Session, repo_id: int, name: str, values: Mapping[str, object]) -> Cron:
    """Adds the repository's cron, or changes the one of that name. ``values`` are its other columns."""
    insert = insert_or(session, Cron).values(repo_id=repo_id, name=name, **values)
    upsert = insert.on_conflict_do_update(index_elements=["repo_id", "name"], set_=dict(values))
    cron_id = session.execute(upsert.returning(Cron.id)).scalar_one()
    return session.get_one(Cron, cron_id, populate_existing=True)


def drop_cron(session: Session, repo_id: int, name: str) -> bool:
    """Removes a cron; False if there was none. Its runs stay."""
    gone = delete(Cron).where(Cron.repo_id == repo_id, Cron.name == name).returning(Cron.id)
    return session.execute(gone).first() is not None


def cron_named(session: Session, repo_id: int, name: str) -> Cron | None:
    """The repository's cron of this name."""
    return session.scalars(select(Cron).where(Cron.repo_id == repo_id, Cron.name == name)).one_or_none()


def crons_of(session: Session, repo_id: int) -> list[tuple[Cron, Run | None]]:
    """The repository's crons by name, each with the run that it started last."""
    query = select(Cron, Run).outerjoin(Run, Run.id == Cron.last_run_id).where(Cron.repo_id == repo_id)
    return [(cron, run) for cron, run in session.execute(query.order_by(Cron.name))]


def due_crons(session: Session, at_ms: int) -> Sequence[tuple[Cron, Repo]]:
    """Crons of active repositories that are due at ``at_ms``, the longest due first."""
    query = select(Cron, Repo).join(Repo, Repo.id == Cron.repo_id).where(Cron.next_ms <= at_ms, Repo.active)
    return [(cron, repo) for cron, repo in session.execute(query.order_by(Cron.next_ms, Cron.id))]


def move_cron_on(session: Session, cron: Cron, next_ms: int | None) -> bool:
    """Sets when the cron is due next. False where another scheduler did so first: it starts the run."""
    # Lock order, to avoid deadlocks: the repository's row first, as when a repository is removed.
    session.execute(select(Repo.id).where(Repo.id == cron.repo_id).with_for_update())
    seen = (Cron.id == cron.id, Cron.next_ms == cron.next_ms)
    moved = update(Cron).where(*seen).values(next_ms=next_ms).returning(Cron.id)
    return session.execute(moved).first() is not None


def note_cron_run(session: Session, cron_id: int, run_id: int) -> None:
    """Stores which run the cron started last."""
    session.execute(update(Cron).where(Cron.id == cron_id).values(last_run_id=run_id))
