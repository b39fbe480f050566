"""Searches the runs of a repository: a page of them at a time, and of a long history a part of it at a time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from workers.db.models import Repo, Run
from workers.store.runs.runs import RunFilter, runs_of

LOOKED_AT_MAX = 1_000
"""So many runs are looked at for one page, where no index answers the whole question. The next page goes on there."""
_LIKE_SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
_COMMIT = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class FoundRuns:
    """A page of runs. ``older`` is the ``before`` of the next page, None at the end of the history.

    With ``incomplete`` the page ends because so many runs were looked at, not because it is full.
    """

    runs: Sequence[Run]
    older: int | None = None
    incomplete: bool = False


def search_runs(session: Session, repo_id: int, only: RunFilter, before: int | None, limit: int) -> FoundRuns:
    """The newest runs first, those with a number below ``before`` that ``only`` lets through."""
    named, rest = list(only.conditions()), _unindexed(only)
    if len(named) <= 1 and not rest:
        runs = list(runs_of(session, repo_id, before, limit + 1, only))
        return FoundRuns(runs[:limit], runs[limit - 1].number if len(runs) > limit else None)
    asked = [column == value for column, value in named]
    before = before or (session.scalar(select(Repo.last_number).where(Repo.id == repo_id)) or 0) + 1
    looked_at: list[ColumnElement[bool]]
    if asked:
        candidates = _candidates(session, repo_id, asked[0], before)
        oldest = candidates[LOOKED_AT_MAX - 1][1] if len(candidates) > LOOKED_AT_MAX else 1
        # By id: without statistics PostgreSQL would read all runs of the repository for these numbers.
        looked_at = [Run.id.in_([run_id for run_id, _ in candidates[:LOOKED_AT_MAX]])]
    else:
        # A range also where numbers are missing, of removed runs: without one PostgreSQL may read all.
        oldest = max(1, before - LOOKED_AT_MAX)
        looked_at = [Run.repo_id == repo_id, Run.number >= oldest, Run.number < before]
    query = select(Run).where(*looked_at, *asked[1:], *rest)
    found = session.scalars(query.order_by(Run.number.desc()).limit(limit + 1)).all()
    if len(found) > limit:
        return FoundRuns(found[:limit], found[limit - 1].number)
    return FoundRuns(found, oldest, incomplete=True) if oldest > 1 else FoundRuns(found)


def _candidates(
    session: Session, repo_id: int, lead: ColumnElement[bool], before: int
) -> list[tuple[int, int]]:  # fmt: skip
    """The ids and numbers of the newest runs that an index finds, one more than are looked at."""
    query = select(Run.id, Run.number).where(Run.repo_id == repo_id, Run.number < before, lead)
    rows = session.execute(query.order_by(Run.number.desc()).limit(LOOKED_AT_MAX + 1))
    return [(run_id, number) for run_id, number in rows]


def _unindexed(only: RunFilter) -> list[ColumnElement[bool]]:
    """What is asked of each run that is looked at."""
    asked: list[ColumnElement[bool]] = []
    if only.author:
        asked.append(Run.author == only.author)
    if only.text:
        words: list[ColumnElement[bool]] = [
            func.lower(Run.title).like(f"%{only.text.lower().translate(_LIKE_SPECIAL)}%", escape="\\")
        ]
        if _COMMIT.fullmatch(only.text.lower()):
            words.append(Run.sha.like(f"{only.text.lower()}%"))
        asked.append(or_(*words))
    return asked
