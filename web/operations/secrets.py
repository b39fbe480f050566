"""Sets and removes the secrets of a repository. Values go in and never come out."""

import re
from collections.abc import Sequence

from sqlalchemy.orm import Session

from pipelines.trigger import Event
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import repo_named
from web.services import OperationServices
from workers import store
from workers.access.secret_limits import excess
from workers.db.session import reading, transaction
from workers.secrets.vault import sealed_bytes, secret_place
from workers.store import SecretInfo

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def list_secrets(services: OperationServices, repo_name: str) -> list[SecretInfo]:
    """A repository's secrets without their values. Raises NotFoundError."""
    with reading(services.engine) as session:
        return store.secrets_of(session, repo_named(session, repo_name).id)


def put(
    services: OperationServices, repo_name: str, name: str, value: str, events: Sequence[Event] | None = None
) -> None:
    """Adds or replaces a secret. Raises NotFoundError and InvalidInputError.

    Only runs of ``events`` get it; without them, those of all events but pull requests.
    """
    _check(name, value)
    with transaction(services.engine) as session:
        repo_id = repo_named(session, repo_name).id
        _check_limits(session, repo_id, name.lower(), value)
        sealed = services.vault.seal(secret_place(repo_id, name), value)
        store.put_secret(session, repo_id, name, sealed, events)


def remove(services: OperationServices, repo_name: str, name: str) -> None:
    """Removes a secret. Raises NotFoundError."""
    with transaction(services.engine) as session:
        if not store.drop_secret(session, repo_named(session, repo_name).id, name):
            raise NotFoundError(f"{repo_name} has no secret named {name}.")


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A secret's name consists of up to 100 letters, digits and _ . - and begins with a letter or _."
        )
    if not value:
        raise InvalidInputError("The secret has no value.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInputError("The value is no text in UTF-8. Send binary data as base64.") from None


def _check_limits(session: Session, repo_id: int, name: str, value: str) -> None:
    """Raises InvalidInputError where the repository's secrets would be too large or too many with this one."""
    sizes = {other: sealed_bytes(sealed) for other, sealed in store.sealed_secrets(session, repo_id).items()}
    # The new value comes first: where several are too large, the sentence is about what was just sent.
    sizes = {name: len(value.encode())} | {key: n for key, n in sizes.items() if key != name}
    if too_much := excess(sizes):
        raise InvalidInputError(f"{too_much[0].upper()}{too_much[1:]}.")
