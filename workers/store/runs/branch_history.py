"""The last runs of a branch, for many repositories at once, and which repositories were active last."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import CTE, ColumnElement, case, func, literal, select
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Repo, Run
from workers.store.accounts.roles import seen_by

COUNTED_MAX = 1_000
"""Repositories are counted up to this number: a page need not know how many there are beyond."""

_HEADS = "refs/heads/"
_PASSED, _RED = (State.PASSED,), (State.FAILED, State.BROKEN)
_UNFINISHED = tuple(state for state in State if not state.final)
_LIKE_SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


@dataclass(frozen=True)
class RepoName:
    """What a list of repositories needs of each before it is known which of them are shown."""

    id: int
    name: str


@dataclass(frozen=True)
class PastRun:
    """One run of a branch: what a bar of a diagram, a ranking or a badge needs."""

    id: int
    number: int
    state: State
    created_ms: int
    started_ms: int | None
    finished_ms: int | None

    @property
    def took_ms(self) -> int | None:
        """How long it ran; None while it has not ended, and where it never began."""
        return None if self.started_ms is None or self.finished_ms is None else self.finished_ms - self.started_ms


@dataclass(frozen=True)
class LastNumbers:
    """Of the last runs of a branch, the highest number, and that of those in some states; 0 where there is none."""

    newest: int
    passed: int
    red: int
    unfinished: int


def repos_by_activity(
    session: Session, viewer: int | None = None, search: str = "", limit: int = 100, offset: int = 0
) -> list[RepoName]:
    """The repositories that the viewer sees, those whose newest run is newest first; then those that were added last.

    With ``search``, only those whose name contains it, in whatever case.
    """
    query = select(Repo.id, Repo.name).where(seen_by(viewer), *_named_like(search))
    # A range of the index: neither the number of runs nor that of repositories matters.
    rows = session.execute(query.order_by(Repo.newest_ms.desc(), Repo.id.desc()).limit(limit).offset(offset))
    return [RepoName(*row) for row in rows]


def count_repos(session: Session, viewer: int | None = None, search: str = "", most: int = COUNTED_MAX) -> int:
    """How many repositories the viewer sees, or how many of them the search finds; ``most`` stands for more."""
    counted = select(Repo.id).where(seen_by(viewer), *_named_like(search)).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0


def _named_like(search: str) -> list[ColumnElement[bool]]:
    if not search:
        return []
    return [func.lower(Repo.name).like(f"%{search.lower().translate(_LIKE_SPECIAL)}%", escape="\\")]


def histories(session: Session, repos: Collection[RepoName], most: int) -> dict[int, list[PastRun]]:
    """The last ``most`` runs of the default branch of each repository, the oldest first, by the repository's id.

    A repository without such runs is left out.
    """
    shown = (Run.repo_id, Run.id, Run.number, Run.state, Run.created_ms, Run.started_ms, Run.finished_ms)
    asked, in_range = _last_runs_of(repos, most)
    found: dict[int, list[PastRun]] = {}
    for row in session.execute(select(*shown).select_from(asked).join(Run, in_range)):
        found.setdefault(row[0], []).append(PastRun(*row[1:]))
    return {repo_id: sorted(runs, key=lambda run: run.number)[-most:] for repo_id, runs in found.items()}


def last_numbers(session: Session, repos: Collection[RepoName], most: int) -> dict[int, LastNumbers]:
    """What the last ``most`` runs of each default branch say, by the repository's id: enough to rank hundreds of them.

    A repository without such runs is left out.
    """
    asked, in_range = _last_runs_of(repos, most)
    of_states = [
        func.coalesce(func.max(case((Run.state.in_(states), Run.number))), 0) for states in (_PASSED, _RED, _UNFINISHED)
    ]
    query = select(Run.repo_id, func.max(Run.number), *of_states).select_from(asked).join(Run, in_range)
    return {row[0]: LastNumbers(*row[1:]) for row in session.execute(query.group_by(Run.repo_id))}


def _last_runs_of(repos: Collection[RepoName], most: int) -> tuple[CTE, ColumnElement[bool]]:
    """The repositories with the first number of their last runs, and how its rows join these runs.

    Materialized, so that it is a range of the index for each repository, which no statistics and no number of runs can
    turn into anything else. The text of the statement does not depend on the repositories: it is compiled once.
    """
    ref = literal(_HEADS) + Repo.default_branch
    of_branch = select(Run.number).where(Run.repo_id == Repo.id, Run.ref == ref).correlate(Repo)
    nth = of_branch.order_by(Run.number.desc()).limit(1).offset(most - 1).scalar_subquery()
    chosen = select(Repo.id.label("repo_id"), ref.label("ref"), func.coalesce(nth, 0).label("first"))
    asked = chosen.where(Repo.id.in_([repo.id for repo in repos])).cte("asked").prefix_with("MATERIALIZED")
    return asked, (Run.repo_id == asked.c.repo_id) & (Run.ref == asked.c.ref) & (Run.number >= asked.c.first)


def runs_with_ids(session: Session, ids: Collection[int]) -> dict[int, Run]:
    """The runs with these ids, by id."""
    return {run.id: run for run in session.scalars(select(Run).where(Run.id.in_(ids)))}


def repos_with_ids(session: Session, ids: Collection[int]) -> dict[int, Repo]:
    """The repositories with these ids, by id."""
    return {repo.id: repo for repo in session.scalars(select(Repo).where(Repo.id.in_(ids)))}
