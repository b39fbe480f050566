"""The credentials of a job: the login for its source, its secrets, its logins to registries."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pipelines.state import Reason
from pipelines.trigger import Event
from runner.docker.containers.specs import Login
from runner.errors import StepError
from runner.source.git.git import GitLogin
from workers import store
from workers.access.secret_limits import excess
from workers.access.trust import Permissions
from workers.db.models import Repo
from workers.db.session import reading
from workers.forges.tokens import clone_login_for
from workers.secrets.vault import Vault, VaultError, registry_place, sealed_bytes, secret_place, shared_secret_place
from workers.store.repos.secrets_in_reach import secrets_in_reach

_log = structlog.get_logger()


def clone_login(session: Session, vault: Vault, repo: Repo) -> GitLogin | None:
    """The login with which the worker clones the repository, if it needs one."""
    login = clone_login_for(session, vault, repo)
    return GitLogin(*login) if login else None


@dataclass(frozen=True)
class JobSecrets:
    """The secrets of a job by name; ``unreadable`` says of others why they cannot be read."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    unreadable: Mapping[str, str] = field(default_factory=dict)


def job_secrets(
    database: Engine, vault: Vault, repo_id: int, event: Event, allowed: Permissions
) -> JobSecrets:  # fmt: skip
    """The secrets that a job may use: those meant for the run's event. One that cannot be read keeps no other back.

    Raises StepError where they are more than the limits: they were stored before there were any.
    """
    if not allowed.secrets:
        return JobSecrets()
    with reading(database) as session:
        sealed = secrets_in_reach(session, repo_id, event)
    if too_much := excess({name: sealed_bytes(value) for name, (_, value) in sealed.items()}):
        raise StepError(Reason.SECRETS_TOO_LARGE, f"the job was not started: {too_much}")
    values: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    for name, (owner, value) in sealed.items():
        place = secret_place(repo_id, name) if owner is None else shared_secret_place(owner, name)
        try:
            values[name] = vault.unseal(place, value)
        except VaultError as error:
            unreadable[name] = str(error)
    return JobSecrets(values, unreadable)


def fingerprint_of(vault: Vault, masked: Iterable[str]) -> str:
    """Stands for the texts that are masked in a job's output. Without the key it says nothing about them.

    A worker goes on with a job only where they are the same: its containers have the values of then.
    """
    return vault.name_for(f"masked {json.dumps(sorted(set(masked)))}")


def registry_logins_for(database: Engine, vault: Vault, repo_id: int, allowed: Permissions) -> Mapping[str, Login]:
    """The logins to registries that a job may use, by the registry's host. One that cannot be read is left out: what
    needs it is refused by its registry, with what to do.
    """
    if not allowed.registry_logins:
        return {}
    with reading(database) as session:
        found = store.registries_for(session, repo_id)
    logins: dict[str, Login] = {}
    for host, row in found.items():
        try:
            password = vault.unseal(registry_place(row.repo_id, host, row.owner), row.sealed_password)
        except VaultError as error:
            _log.error("a login to a registry cannot be read", registry=host, problem=str(error))
        else:
            logins[host] = Login(row.username, password)
    return logins
