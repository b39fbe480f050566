"""Sets and removes secrets of a repository, of an owner (``team/*``) or of all (``*``). Values never come out."""

import re
from collections.abc import Mapping, Sequence

from pipelines.trigger import Event
from runner.logs.spellings import SECRET_BYTES_MIN, shown_in_logs
from web.operations import audit
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.repos.owners import place_of
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.access.secret_limits import excess
from workers.db.session import reading, transaction
from workers.secrets.vault import sealed_bytes, secret_place, shared_secret_place
from workers.store import SecretInfo
from workers.store.repos.shared_secrets import (
    drop_shared_secret,
    put_shared_secret,
    sealed_shared_secrets,
    shared_secrets_of,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def list_secrets(services: OperationServices, actor: Actor, repo_name: str) -> list[SecretInfo]:
    """A repository's secrets without their values. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        repo_id, owner = place_of(session, actor, repo_name)
        return shared_secrets_of(session, owner) if repo_id is None else store.secrets_of(session, repo_id)


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
        repo_id, owner = place_of(session, actor, repo_name)
        if repo_id is None:
            _check_limits(sealed_shared_secrets(session, owner), name.lower(), value)
            sealed = services.vault.seal(shared_secret_place(owner, name), value)
            put_shared_secret(session, owner, name, sealed, events)
        else:
            _check_limits(store.sealed_secrets(session, repo_id), name.lower(), value)
            store.put_secret(session, repo_id, name, services.vault.seal(secret_place(repo_id, name), value), events)
        words = "" if events is None else f"for {', '.join(event.value for event in events) or 'no event'}"
        audit.record(session, actor, "secret.set", f"{repo_name} {name.lower()}", words)


def remove(services: OperationServices, actor: Actor, repo_name: str, name: str) -> None:
    """Removes a secret. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo_id, owner = place_of(session, actor, repo_name)
        gone = (
            drop_shared_secret(session, owner, name) if repo_id is None else store.drop_secret(session, repo_id, name)
        )
        if not gone:
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


def _check_limits(others: Mapping[str, str], name: str, value: str) -> None:
    """Raises InvalidInputError where the repository's secrets would be too large or too many with this one."""
    sizes = {other: sealed_bytes(sealed) for other, sealed in others.items()}
    # The new value comes first: where several are too large, the sentence is about what was just sent.
    sizes = {name: len(value.encode())} | {key: n for key, n in sizes.items() if key != name}
    if too_much := excess(sizes):
        raise InvalidInputError(f"{too_much[0].upper()}{too_much[1:]}.")
