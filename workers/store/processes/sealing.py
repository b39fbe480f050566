"""Which keys have sealed the secrets of this installation."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from workers.db.models import Registry, Repo, SealingKey, Secret, SharedForgeToken, SharedSecret
from workers.store.common import insert_or

FIRST = 1


@dataclass(frozen=True)
class SealedValue:
    """A sealed value, and the words that ``place`` in ``workers.secrets.known_keys`` makes its place from."""

    kind: str
    repo_id: int | None
    owner: str
    name: str
    sealed: str


def sealing_keys(session: Session) -> list[SealingKey]:
    """The keys in the order in which they came to seal; the last one seals now."""
    return list(session.scalars(select(SealingKey).order_by(SealingKey.number)))


def add_sealing_key(session: Session, number: int, key_id: str, fingerprint: str) -> None:
    """Notes that this key seals now, unless another one has taken the number: read the keys again."""
    insert = insert_or(session, SealingKey).values(number=number, key_id=key_id, fingerprint=fingerprint)
    session.execute(insert.on_conflict_do_nothing(index_elements=["number"]))


def forget_sealing_keys(session: Session) -> None:
    """Forgets all keys: the next one that is noted is the first."""
    session.execute(delete(SealingKey))


def sealed_values(session: Session) -> list[SealedValue]:
    """All that is sealed, except in browsers."""
    found = [
        SealedValue(kind, repo.id, "", "", sealed)
        for repo in session.scalars(select(Repo).order_by(Repo.id))
        for kind, sealed in (
            ("hook", repo.hook_secret_sealed),
            ("clone", repo.clone_password_sealed),
            ("forge", repo.forge_token_sealed),
        )
    ]
    found += [SealedValue("secret", row.repo_id, "", row.name, row.sealed) for row in session.scalars(select(Secret))]
    for shared in session.scalars(select(SharedSecret)):
        found.append(SealedValue("shared secret", None, shared.owner, shared.name, shared.sealed))
    for token in session.scalars(select(SharedForgeToken)):
        found.append(SealedValue("shared forge", None, token.owner, token.host, token.sealed))
    for login in session.scalars(select(Registry)):
        found.append(SealedValue("registry", login.repo_id, login.owner, login.host, login.sealed_password))
    return [value for value in found if value.sealed]
