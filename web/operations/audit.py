"""The audit log: what people changed, recorded in the transaction that changes it."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import AuditEntry
from workers.db.session import reading, transaction
from workers.store.accounts import audit

TEXT_CHARS_MAX = 1_000


def record(session: Session, actor: Actor, action: str, target: str, detail: str = "") -> None:
    """Adds an entry: ``action`` such as ``secret.set``, what it changed, and old and new values in words.

    No text may contain a secret. Longer texts are cut: the log must not grow by what one request brings.
    """
    audit.add_entry(
        session,
        actor=_short(actor.name),
        source=_short(actor.source),
        action=action,
        target=_short(target),
        detail=_short(detail),
    )


def note_login(services: OperationServices, actor: Actor, detail: str) -> None:
    """Adds the entry of a login. Failed ones are not kept: a client without a login could fill the log with them."""
    with transaction(services.engine) as session:
        record(session, actor, "user.login", actor.name, detail)


def change(old: object, new: object) -> str:
    """``old -> new``, in words for people."""
    return f"{_word(old)} -> {_word(new)}"


def _word(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _short(text: str) -> str:
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return plain if len(plain) <= TEXT_CHARS_MAX else f"{plain[: TEXT_CHARS_MAX - 1]}\N{HORIZONTAL ELLIPSIS}"


def entries(services: OperationServices, actor: Actor, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """The newest entries, those with an id below ``before``. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        return audit.entries(session, before, limit)
