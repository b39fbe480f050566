"""How long and how much is kept of each repository."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from workers.db.models import Repo, Retention
from workers.retention_policy import NAMES, RetentionPolicy
from workers.store.common import insert_or

_REPOS_AT_ONCE = 500


class RepoRetention(NamedTuple):
    """A repository, and the policy that counts for it."""

    repo_id: int
    default_branch: str
    last_number: int
    policy: RetentionPolicy
    own: bool


def own_values(session: Session, repo_id: int) -> dict[str, int | None]:
    """What is set of the repository itself. None: the server's value counts."""
    row = session.get(Retention, repo_id)
    return {name: getattr(row, name) if row else None for name in NAMES}


def set_own_values(session: Session, repo_id: int, values: Mapping[str, int | None]) -> None:
    """Sets all of the repository's own values; those that are left out are the server's."""
    given = {name: values.get(name) for name in NAMES}
    insert = insert_or(session, Retention).values(repo_id=repo_id, **given)
    session.execute(insert.on_conflict_do_update(index_elements=["repo_id"], set_=given))


def policies(session: Session, server: RetentionPolicy, after: int = 0) -> list[RepoRetention]:
    """What counts for each repository, by id, from behind the id ``after`` on: a bounded number of them."""
    query = select(Repo.id, Repo.default_branch, Repo.last_number, Retention).outerjoin(
        Retention, Retention.repo_id == Repo.id
    )
    rows = session.execute(query.where(Repo.id > after).order_by(Repo.id).limit(_REPOS_AT_ONCE))
    return [_retention(repo_id, branch, last, row, server) for repo_id, branch, last, row in rows]


def _retention(
    repo_id: int, branch: str, last_number: int, row: Retention | None, server: RetentionPolicy
) -> RepoRetention:  # fmt: skip
    own = {name: getattr(row, name) for name in NAMES} if row else {}
    return RepoRetention(repo_id, branch, last_number, server.within(own), any(own.values()))
