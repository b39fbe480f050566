"""Secrets and registry logins. Values are sealed before they get here; the store never sees a plain one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from pipelines.trigger import PULL_REQUEST_EVENTS, Event
from workers.db.models import Registry, Repo, Secret, SharedSecret
from workers.db.session import now_ms
from workers.store.common import insert_or

# The author of a pull request writes its pipeline: it gets a secret only where a person allowed its event.
DEFAULT_EVENTS = tuple(event for event in Event if event not in PULL_REQUEST_EVENTS)


@dataclass(frozen=True)
class SecretInfo:
    """What users may see of a secret."""

    name: str
    events: tuple[str, ...]
    created_ms: int
    updated_ms: int


def put_secret(session: Session, repo_id: int, name: str, sealed: str, events: Sequence[Event] | None = None) -> None:
    """Adds or replaces a secret, sealed at ``vault.secret_place(repo_id, name)``. Names are stored in lower case.

    Without ``events`` a new secret is for all events except pull requests, and an existing one keeps its events.
    """
    upsert_secret(session, Secret, {"repo_id": repo_id}, name, sealed, events)


def upsert_secret(
    session: Session,
    entity: type[Secret] | type[SharedSecret],
    whose: Mapping[str, int | str],
    name: str,
    sealed: str,
    events: Sequence[Event] | None,
) -> None:
    """``put_secret`` for a row of ``entity`` that belongs to ``whose``, its key besides the name."""
    insert = insert_or(session, entity).values(
        **whose,
        name=name.lower(),
        sealed=sealed,
        events=[event.value for event in (DEFAULT_EVENTS if events is None else events)],
        created_ms=now_ms(),
        updated_ms=now_ms(),
    )
    changed = {"sealed": sealed, "updated_ms": now_ms()}
    if events is not None:
        changed["events"] = insert.excluded.events
    session.execute(insert.on_conflict_do_update(index_elements=[*whose, "name"], set_=changed))


def drop_secret(session: Session, repo_id: int, name: str) -> bool:
    """Removes a secret; False if there was none."""
    gone = delete(Secret).where(Secret.repo_id == repo_id, Secret.name == name.lower()).returning(Secret.id)
    return session.execute(gone).first() is not None


def secrets_of(session: Session, repo_id: int) -> list[SecretInfo]:
    """The repository's secrets by name, without their values."""
    query = select(Secret).where(Secret.repo_id == repo_id).order_by(Secret.name)
    return [SecretInfo(row.name, tuple(row.events), row.created_ms, row.updated_ms) for row in session.scalars(query)]


def sealed_secrets(session: Session, repo_id: int) -> dict[str, str]:
    """The repository's own secrets, sealed, by name."""
    return {row.name: row.sealed for row in session.scalars(select(Secret).where(Secret.repo_id == repo_id))}


def put_registry(
    session: Session, repo_id: int | None, host: str, username: str, sealed: str, owner: str = ""
) -> None:  # fmt: skip
    """Adds or replaces the login to ``host``, of one repository or (None) of all, or all of an owner."""
    drop_registry(session, repo_id, host, owner)
    insert = insert_or(session, Registry)
    session.execute(
        insert.values(
            repo_id=repo_id, owner=owner, host=host, username=username, sealed_password=sealed, created_ms=now_ms()
        )
    )


def drop_registry(session: Session, repo_id: int | None, host: str, owner: str = "") -> bool:
    """Removes a login; False if there was none."""
    mine = Registry.repo_id.is_(None) if repo_id is None else Registry.repo_id == repo_id
    gone = delete(Registry).where(Registry.host == host, Registry.owner == owner, mine).returning(Registry.id)
    return session.execute(gone).first() is not None


def registries(session: Session) -> Sequence[Registry]:
    """All logins by host."""
    return session.scalars(select(Registry).order_by(Registry.host, Registry.repo_id)).all()


def registries_for(session: Session, repo_id: int) -> dict[str, Registry]:
    """The logins that a repository's runs use, by host: its own, else the nearest owner's, else those for all."""
    repo = session.get(Repo, repo_id)
    owners = owners_of(repo.name) if repo else [""]
    shared = (Registry.repo_id.is_(None)) & (Registry.owner.in_(owners))
    rows = session.scalars(select(Registry).where(or_(Registry.repo_id == repo_id, shared)))
    nearest_last = sorted(rows, key=lambda row: (row.repo_id is not None, -owners.index(row.owner or "")))
    return {row.host: row for row in nearest_last}


def owners_of(repo_name: str) -> list[str]:
    """Whose secrets and logins a repository may use, the nearest first; the empty owner is for all repositories."""
    parts = repo_name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)] + [""]
