"""How long a repository's runs, logs and deliveries are kept: its own values, within the server's limits."""

from collections.abc import Mapping
from dataclasses import asdict

from web.operations import audit
from web.operations.errors import InvalidInputError
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.retention_policy import LEAST, NAMES, RetentionPolicy
from workers.setting_kinds import COUNT_MAX, DAYS_MAX
from workers.store.repos.retention import own_values, set_own_values

WORDS = {
    "log_days": "days of logs",
    "run_days": "days of runs",
    "run_count": "number of runs",
    "delivery_days": "days of deliveries",
    "delivery_count": "number of deliveries",
}
_KEPT = {
    "log_days": "logs for {} days",
    "run_days": "runs for {} days",
    "run_count": "at most {} runs",
    "delivery_days": "deliveries for {} days",
    "delivery_count": "at most {} deliveries",
}
_SETTINGS = {"log_days": "retention_days"} | {
    f"{kind}_{unit}": f"{kind}_retention_{unit}" for kind in ("run", "delivery") for unit in ("days", "count")
}


def setting_of(name: str) -> str:
    """The server's setting that limits a value."""
    return f"HEADWAY_{_SETTINGS[name].upper()}"


def own_retention(services: OperationServices, actor: Actor, name: str) -> dict[str, int | None]:
    """What is set of the repository itself; None where the server's value counts.

    Raises NotFoundError and ForbiddenError.
    """
    with reading(services.engine) as session:
        return own_values(session, repo_named(session, actor, name, Role.ADMIN).id)


def set_retention(
    services: OperationServices, actor: Actor, name: str, values: Mapping[str, int | None]
) -> None:  # fmt: skip
    """Sets all of the repository's own values; those that are left out, or None, are the server's.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        _check(values, services.settings.retention)
        before = in_words(own_values(session, repo.id))
        set_own_values(session, repo.id, values)
        audit.record(session, actor, "repo.retention", name, audit.change(before, in_words(values)))


def logs_kept(services: OperationServices, repo_id: int) -> str:
    """For how long logs of the repository are kept, and what sets it."""
    server = services.settings.retention
    with reading(services.engine) as session:
        days = server.within(own_values(session, repo_id)).log_days
    kept = f"{days} days after their run has ended" if days else "for a limited time then"
    if days != server.log_days:
        return f"this repository kept logs {kept} (headway repo retention)"
    return f"this server kept logs {kept} (HEADWAY_RETENTION_DAYS)"


def in_words(values: Mapping[str, int | None]) -> str:
    """What is kept by the values that are set."""
    return ", ".join(_KEPT[name].format(values[name]) for name in NAMES if values.get(name))


def _check(values: Mapping[str, int | None], server: RetentionPolicy) -> None:
    limits: Mapping[str, int] = asdict(server)
    for name, value in values.items():
        if value is None:
            continue
        least, most = LEAST.get(name, 1), limits[name] or (DAYS_MAX if name.endswith("_days") else COUNT_MAX)
        if not least <= value <= most:
            of_server = f", as the server keeps no more ({setting_of(name)})" if limits[name] else ""
            raise InvalidInputError(
                f"The {WORDS[name]} cannot be {value}: give {least} to {most}{of_server}, or nothing for the server's "
                "own value."
            )
