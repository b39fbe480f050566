"""Crons: when they are due, and starting their runs. A run starts once, also with several schedulers."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim, CronSimError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pipelines.trigger import Event, Trigger
from workers import store
from workers.back_off import BackOff
from workers.db.models import Cron, Repo
from workers.db.session import reading, transaction
from workers.store import Queued
from workers.triggers.manual import InvalidRequestError, check_inputs, checked_ref

EXPRESSION_CHARS_MAX = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._-]{0,99}")
_FIELDS = 5
_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_log = structlog.get_logger()


@dataclass(frozen=True)
class NewCron:
    """A cron that a user adds or changes. Without ``branch`` it runs the repository's default branch."""

    name: str
    expression: str
    zone: str = "UTC"
    branch: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    enabled: bool = True


def next_ms(expression: str, zone: str, after_ms: int) -> int:
    """The first time after ``after_ms`` at which the expression is due in its zone. Raises InvalidRequestError.

    When clocks are put forward, a time in the gap is due right after it. When they are put back, a time that occurs
    twice is due the first time. Expressions such as "every 10 minutes" follow the elapsed time.
    """
    clock = _clock(zone)
    text = _SHORT.get(expression.strip().lower(), expression)
    if len(text.split()) != _FIELDS:
        raise _not_an_expression(expression, f"it needs {_FIELDS} fields: minute, hour, day, month, day of the week")
    if len(text) > EXPRESSION_CHARS_MAX:
        raise _not_an_expression(expression, f"it has more than {EXPRESSION_CHARS_MAX} characters")
    try:
        for due in CronSim(text, datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(clock)):
            # In the hour that occurs twice the first result may be in the past.
            if (due_ms := int(due.timestamp()) * 1000) > after_ms:
                return due_ms
    except CronSimError as error:
        raise _not_an_expression(expression, str(error).lower()) from None
    raise _not_an_expression(expression, "it names a day that never comes")


def _clock(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # unknown; not a valid name; a folder of zones
        hint = "use one of the time zone database such as Europe/Berlin, America/New_York or UTC"
        raise InvalidRequestError(f"There is no time zone {zone[:80]!r}; {hint}.") from None


def _not_an_expression(expression: str, why: str) -> InvalidRequestError:
    shown = expression if len(expression) <= EXPRESSION_CHARS_MAX else f"{expression[:EXPRESSION_CHARS_MAX]}..."
    hint = 'write one such as "30 2 * * 1-5", or @hourly, @daily, @weekly, @monthly or @yearly'
    return InvalidRequestError(f"{shown!r} is no cron expression: {why}; {hint}.")


def put_cron(session: Session, repo_id: int, new: NewCron, now_ms: int, *, by_admin: bool = False) -> Cron:
    """Adds the cron, or changes the one of that name; it is next due after ``now_ms``. Raises InvalidRequestError.

    ``by_admin``: an administrator of the server asks for it. What an administrator has set stays so while its inputs
    and its branch stay the same.
    """
    if not _NAME.fullmatch(new.name):
        raise InvalidRequestError(
            f"{new.name[:80]!r} cannot be the name of a cron: use up to 100 letters, digits, spaces and . _ -, "
            "and begin with a letter, a digit or _."
        )
    check_inputs(new.inputs)
    if new.branch:
        checked_ref("branch", new.branch)
    before = store.cron_named(session, repo_id, new.name)
    kept = before is not None and (before.branch, before.inputs) == (new.branch, new.inputs) and before.inputs_by_admin
    due_ms = next_ms(new.expression, new.zone, now_ms)
    row = {
        "expression": new.expression.strip(),
        "zone": new.zone,
        "branch": new.branch,
        "inputs": new.inputs,
        "inputs_by_admin": by_admin or kept,
        "next_ms": due_ms if new.enabled else None,
    }
    return store.put_cron(session, repo_id, new.name, row)


def run_cron(session: Session, cron: Cron, repo: Repo, sender: str = "") -> Queued:
    """Starts a run of this cron now, without changing when it is due next."""
    branch = cron.branch or repo.default_branch
    trigger = Trigger(
        event=Event.CRON,
        sha="",
        ref=f"refs/heads/{branch}",
        branch=branch,
        cron=cron.name,
        sender=sender or f"cron {cron.name}",
        inputs=cron.inputs,
        inputs_by_admin=cron.inputs_by_admin,
    )
    queued = store.queue_run(session, repo.id, trigger)
    store.note_cron_run(session, cron.id, queued.run_id)
    return queued


def start_due(engine: Engine, now_ms: int, back_off: BackOff) -> list[Queued]:
    """Starts a run for each cron that is due. Missed times are caught up with a single run.

    A cron that cannot be started delays no other; it is tried again after a pause. ``back_off`` has why.
    """
    with reading(engine) as session:
        due = store.due_crons(session, now_ms)
    started: list[Queued] = []
    for cron, repo in due:
        if not back_off.is_due(cron.id):
            continue
        try:
            started += _start(engine, cron, repo, _following_ms(cron, now_ms))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one cron, the others are started
            back_off.failed(cron.id, f"The cron {cron.name!r} of {repo.name} cannot be started: {error}.")
        else:
            back_off.succeeded(cron.id)
    return started


def _start(engine: Engine, cron: Cron, repo: Repo, after_ms: int | None) -> list[Queued]:
    """The cron's run, unless another scheduler has just started it."""
    with transaction(engine) as session:
        return [run_cron(session, cron, repo)] if store.move_cron_on(session, cron, after_ms) else []


def _following_ms(cron: Cron, now_ms: int) -> int | None:
    try:
        return next_ms(cron.expression, cron.zone, now_ms)
    except InvalidRequestError as error:
        # It was valid when it was stored. Since then its time zone was removed, or its only date has passed.
        _log.warning("a cron is switched off: it has no next time", cron=cron.name, repo=cron.repo_id, error=str(error))
        return None
