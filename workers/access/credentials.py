"""What a job may know: the login for its source, secrets, logins to registries."""

from collections.abc import Mapping

from sqlalchemy import Engine

from pipelines.trigger import Trigger
from runner.docker.specs import Login
from runner.source.git import GitLogin
from workers import store
from workers.db.models import Repo
from workers.db.session import reading
from workers.secrets.vault import Vault, clone_place, registry_place, secret_place


def clone_login(vault: Vault, repo: Repo) -> GitLogin | None:
    """The login with which the repository is cloned, if it needs one."""
    if not repo.clone_password_sealed:
        return None
    return GitLogin(repo.clone_username, vault.unseal(clone_place(repo.id), repo.clone_password_sealed))


def secrets_for(database: Engine, vault: Vault, repo_id: int, trigger: Trigger) -> Mapping[str, str]:
    """The secrets that a run of this trigger may have, by name."""
    with reading(database) as session:
        sealed = store.sealed_secrets_for(session, repo_id, trigger)
    return {name: vault.unseal(secret_place(repo_id, name), value) for name, value in sealed.items()}


def logins_for(database: Engine, vault: Vault, repo_id: int, trigger: Trigger) -> Mapping[str, Login]:
    """Logins to registries; none for a pull request from a fork, whose author could push with them."""
    if trigger.pull_request and trigger.pull_request.from_fork:
        return {}
    with reading(database) as session:
        found = store.registries_for(session, repo_id)
    places = {host: registry_place(row.repo_id, host) for host, row in found.items()}
    return {host: Login(row.username, vault.unseal(places[host], row.sealed_password)) for host, row in found.items()}
