"""The branches, tags and pull requests of a repository that had runs lately, and the last runs of each."""

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.trigger import SENT_TREE_REFS
from workers.db.models import Repo, Run
from workers.store.runs.branch_history import PastRun

RUNS_LOOKED_AT_MAX = 500
"""Refs without a run among so many newest ones are left out: they are found by their name."""
_SHOWN = (Run.id, Run.number, Run.state, Run.created_ms, Run.started_ms, Run.finished_ms)


def recent_refs(session: Session, repo_id: int, limit: int) -> list[tuple[str, int]]:
    """Refs with the number of their newest run, the newest first; those of sent trees are left out."""
    last = session.scalar(select(Repo.last_number).where(Repo.id == repo_id)) or 0
    newest = func.max(Run.number)
    query = select(Run.ref, newest).where(Run.repo_id == repo_id, Run.number > last - RUNS_LOOKED_AT_MAX)
    query = query.where(~Run.ref.startswith(SENT_TREE_REFS))
    rows = session.execute(query.group_by(Run.ref).order_by(newest.desc()).limit(limit))
    return [(ref, number) for ref, number in rows]


def history_of_ref(session: Session, repo_id: int, ref: str, most: int) -> list[PastRun]:
    """The last ``most`` runs of a ref, the oldest first."""
    query = select(*_SHOWN).where(Run.repo_id == repo_id, Run.ref == ref).order_by(Run.number.desc()).limit(most)
    return [PastRun(*row) for row in reversed(session.execute(query).all())]


def histories_of_refs(session: Session, repo_id: int, refs: Iterable[str], most: int) -> dict[str, list[PastRun]]:
    """The last runs of each ref: one range of the index for each."""
    return {ref: history_of_ref(session, repo_id, ref, most) for ref in refs}
