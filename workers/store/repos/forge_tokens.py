"""Tokens of forges for all repositories of an owner, or for all. The nearest to a repository counts, on each host."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from workers.db.models import SharedForgeToken
from workers.db.session import now_ms
from workers.store.common import insert_or
from workers.store.repos.secrets import owners_of


def put_forge_token(session: Session, owner: str, host: str, api_url: str, sealed: str) -> None:
    """Adds or replaces the token for ``host``, sealed at ``vault.shared_forge_place(owner, host)``."""
    insert = insert_or(session, SharedForgeToken).values(
        owner=owner, host=host, api_url=api_url, sealed=sealed, created_ms=now_ms(), updated_ms=now_ms()
    )
    changed = {"api_url": api_url, "sealed": sealed, "updated_ms": now_ms()}
    session.execute(insert.on_conflict_do_update(index_elements=["owner", "host"], set_=changed))


def drop_forge_token(session: Session, owner: str, host: str) -> bool:
    """Removes a token; False if there was none."""
    mine = (SharedForgeToken.owner == owner) & (SharedForgeToken.host == host)
    return session.execute(delete(SharedForgeToken).where(mine).returning(SharedForgeToken.id)).first() is not None


def forge_tokens_of(session: Session, owner: str) -> Sequence[SharedForgeToken]:
    """The owner's tokens by host."""
    query = select(SharedForgeToken).where(SharedForgeToken.owner == owner)
    return session.scalars(query.order_by(SharedForgeToken.host)).all()


def forge_token_in_reach(session: Session, repo_name: str, host: str) -> SharedForgeToken | None:
    """The nearest owner's token for this host that the repository may use."""
    owners = owners_of(repo_name)
    query = select(SharedForgeToken).where(SharedForgeToken.host == host, SharedForgeToken.owner.in_(owners))
    return min(session.scalars(query), key=lambda row: owners.index(row.owner), default=None)
