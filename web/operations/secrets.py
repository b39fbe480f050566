"""Sets and removes the secrets of a repository. Values go in and never come out."""

import re
from collections.abc import Sequence

from sqlalchemy.orm import Session

from pipelines.trigger import Event
from runner.logs.spellings import SECRET_BYTES_MIN, shown_in_logs
from web.operations import audit
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.access.secret_limits import excess
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.secrets.vault import sealed_bytes, secret_place
from workers.store import SecretInfo

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def list_secrets(services: OperationServices, actor: Actor, repo_name: str) -> list[SecretInfo]:
    """A repository's secrets without their values. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        return store.secrets_of(session, repo_named(session, actor, repo_name, Role.ADMIN).id)


def put(
    services: OperationServices,
    actor: Actor,
    repo_name: str,
    name: str,
    value: str,
    events: Sequence[Event] | None = None,
) -> None:
    """Adds or replaces a secret. Raises NotFoundError, ForbiddenError and InvalidInputError.

    Only runs of ``events`` get it; without them, those of all events but pull requests.
    """
    _check(name, value)
    with transaction(services.engine) as session:
        repo_id = repo_named(session, actor, repo_name, Role.ADMIN).id
        _check_limits(session, repo_id, name.lower(), value)
        sealed = services.vault.seal(secret_place(repo_id, name), value)
        store.put_secret(session, repo_id, name, sealed, events)
        words = "" if events is None else f"for {', '.join(event.value for event in events) or 'no event'}"
        audit.record(session, actor, "secret.set", f"{repo_name} {name.lower()}", words)


def remove(services: OperationServices, actor: Actor, repo_name: str, name: str) -> None:
    """Removes a secret. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        if not store.drop_secret(session, repo_named(session, actor, repo_name, Role.ADMIN).id, name):
            raise NotFoundError(f"{repo_name} has no secret named {name}.")
        audit.record(session, actor, "secret.remove", f"{repo_name} {name.lower()}")


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A secret's name consists of up to 100 letters, digits and _ . - and begins with a letter or _."
        )
    if not value:
        raise InvalidInputError("The secret has no value.")
    try:
        size = len(value.strip().encode())
    except UnicodeEncodeError:
        raise InvalidInputError("The value is no text in UTF-8. Send binary data as base64.") from None
    if size < SECRET_BYTES_MIN:
        hint = "Choose a longer one, or write it into the pipeline file if it is no secret."
        raise InvalidInputError(f"The secret is too short: {shown_in_logs(value)}. {hint}")


def _check_limits(session: Session, repo_id: int, name: str, value: str) -> None:
    """Raises InvalidInputError where the repository's secrets would be too large or too many with this one."""
    sizes = {other: sealed_bytes(sealed) for other, sealed in store.sealed_secrets(session, repo_id).items()}
    # The new value comes first: where several are too large, the sentence is about what was just sent.
    sizes = {name: len(value.encode())} | {key: n for key, n in sizes.items() if key != name}
    if too_much := excess(sizes):
        raise InvalidInputError(f"{too_much[0].upper()}{too_much[1:]}.")
