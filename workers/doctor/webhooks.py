"""A check of webhooks: whether forges can reach this server, and what came of the deliveries of each repository."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from workers import store
from workers.db.models import Repo
from workers.db.session import db_now_ms
from workers.doctor.database import opened
from workers.doctor.finding import Finding, ok, warning
from workers.settings import Settings
from workers.store import DeliveryState
from workers.store.common import DAY_MS

REPOS_MAX = 20
LATELY_MS = 7 * DAY_MS
_HOUR_MS = 3_600_000
_DAYS_FROM_H = 48


def webhooks(settings: Settings) -> list[Finding]:
    """Where forges send webhooks to, and the newest delivery of each repository."""
    try:
        with opened(settings) as session:
            names = session.execute(select(Repo.id, Repo.name).where(Repo.active).order_by(Repo.name)).all()
            now = db_now_ms(session)
            found = [_of_repo(session, repo_id, name, now) for repo_id, name in names[:REPOS_MAX]]
    except SQLAlchemyError:
        return []  # the check of the database says why
    more = [ok("hooks", f"{len(names) - REPOS_MAX} more repositories were not looked at")] if names[REPOS_MAX:] else []
    return [_address(settings), *found, *more]


def _address(settings: Settings) -> Finding:
    host = urlsplit(settings.url).hostname or ""
    where = f"forges send webhooks to {settings.url}/hooks/"
    if host == "localhost" or _is_private(host):
        return warning(
            "hooks", f"{where}: only this machine or its network reaches that. Set HEADWAY_BASE_URL for other forges."
        )
    return ok("hooks", where)


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def _of_repo(session: Session, repo_id: int, name: str, now_ms: int) -> Finding:
    test = f"headway repo check {name} tests the connection"
    newest = store.newest_deliveries(session, repo_id, 1)
    if not newest:
        return ok("hooks", f"{name} has received none; {test}")
    delivery, _ = newest[0]
    age_ms = max(0, now_ms - delivery.received_ms)
    if delivery.state == DeliveryState.REFUSED and age_ms < LATELY_MS:
        return warning("hooks", f"{name} refused the last one, {_ago(age_ms)}: {delivery.reason.rstrip('.')}. {test}.")
    return ok("hooks", f"{name} received the last one {_ago(age_ms)}: {delivery.state.replace('_', ' ')}")


def _ago(age_ms: int) -> str:
    hours = age_ms // _HOUR_MS
    if hours == 0:
        return "less than an hour ago"
    return f"{hours} hours ago" if hours < _DAYS_FROM_H else f"{hours // 24} days ago"
