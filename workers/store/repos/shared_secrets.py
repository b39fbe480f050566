"""Secrets for all repositories of an owner, or for all. Of several of one name the nearest to the repository counts."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pipelines.trigger import Event
from workers.db.models import SharedSecret
from workers.store.repos.secrets import SecretInfo, owners_of, upsert_secret


def put_shared_secret(
    session: Session, owner: str, name: str, sealed: str, events: Sequence[Event] | None = None
) -> None:
    """Adds or replaces a secret, sealed at ``vault.shared_secret_place(owner, name)``: see ``put_secret``."""
    upsert_secret(session, SharedSecret, {"owner": owner}, name, sealed, events)


def drop_shared_secret(session: Session, owner: str, name: str) -> bool:
    """Removes a secret; False if there was none."""
    mine = (SharedSecret.owner == owner) & (SharedSecret.name == name.lower())
    return session.execute(delete(SharedSecret).where(mine).returning(SharedSecret.id)).first() is not None


def shared_secrets_of(session: Session, owner: str) -> list[SecretInfo]:
    """The owner's secrets by name, without their values."""
    query = select(SharedSecret).where(SharedSecret.owner == owner).order_by(SharedSecret.name)
    return [SecretInfo(row.name, tuple(row.events), row.created_ms, row.updated_ms) for row in session.scalars(query)]


def shared_secrets_for(session: Session, repo_name: str) -> list[tuple[str, SecretInfo]]:
    """What a repository may use besides its own secrets, the nearest first: whose it is, and the secret."""
    places = [(owner, f"{owner}/*" if owner else "*") for owner in owners_of(repo_name)]
    return [(place, info) for owner, place in places for info in shared_secrets_of(session, owner)]


def sealed_shared_secrets(session: Session, owner: str) -> dict[str, str]:
    """The owner's secrets, sealed, by name."""
    rows = session.scalars(select(SharedSecret).where(SharedSecret.owner == owner))
    return {row.name: row.sealed for row in rows}
