"""The audit log: what people changed, recorded in the transaction that changes it."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.security.failed_logins import Failures
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


def note_login(services: OperationServices, actor: Actor, detail: str, failed: Iterable[Failures] = ()) -> None:
    """Adds the entry of a login, and those of failed ones before."""
    with transaction(services.engine) as session:
        _record_failures(session, failed)
        record(session, actor, "user.login", actor.name, detail)


def note_failed_logins(services: OperationServices, failed: Sequence[Failures]) -> None:
    """Adds the entries of failed logins. ``FailedLogins`` bounds them: no login is needed to fail."""
    if failed:
        with transaction(services.engine) as session:
            _record_failures(session, failed)


def _record_failures(session: Session, failed: Iterable[Failures]) -> None:
    for each in failed:
        detail = "a wrong name or password" if each.count == 1 else f"{each.count} wrong names or passwords"
        record(session, Actor(None, "", is_admin=False, source=each.address), "login.failed", each.name, detail)


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """What differs, as ``name: old -> new`` each; for settings that are no secrets. Empty where nothing does."""
    names = [*old, *(name for name in new if name not in old)]
    differing = (name for name in names if _word(old.get(name)) != _word(new.get(name)))
    return ", ".join(f"{name.replace('_', ' ')}: {change(old.get(name), new.get(name))}" for name in differing)


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
