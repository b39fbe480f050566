"""Sets and removes the secrets of a repository. Values go in and never come out."""

import re
from collections.abc import Sequence

from pipelines.trigger import Event
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import repo_named
from web.services import OperationServices
from workers import store
from workers.db.session import reading, transaction
from workers.secrets.vault import secret_place
from workers.store import SecretInfo

VALUE_CHARS_MAX = 65_536
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
    if len(value) > VALUE_CHARS_MAX:
        raise InvalidInputError(f"The value has {len(value):,} characters; the limit is {VALUE_CHARS_MAX:,}.")
