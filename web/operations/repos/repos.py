"""Adds and removes repositories, and changes their settings: webhook secret, clone login, forge token, trust."""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from pipelines.context import Trust
from pipelines.trigger import Event
from web.operations import audit
from web.operations.errors import ConflictError, InvalidInputError, NotFoundError
from web.operations.lookup import check_administrator, repo_named
from web.operations.repos.clone_urls import check_clone_url
from web.security import auth
from web.security.access import Actor
from web.services import OperationServices
from web.urls import hook_url
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.forges import FORGES
from workers.secrets.vault import clone_place, forge_place, hook_place
from workers.store import AlreadyThereError, NewRepo, repo_info
from workers.store.repos import names

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_RESERVED_WORDS = frozenset(
    {"runs", "settings", "secrets", "crons", "deliveries"}
)  # they stand behind the name in addresses

_RUNS_REMOVED_AT_ONCE = 50


@dataclass(frozen=True)
class NewWebhook:
    """A repository's webhook and its secret; a new one is shown once."""

    repo_name: str
    url: str
    secret: str
    forge: str

    @property
    def instructions(self) -> str:
        """What to enter on the forge's pages, and where."""
        return FORGES[self.forge].setup_text(self.url, self.secret)


def list_repos(services: OperationServices, actor: Actor) -> Sequence[Repo]:
    """All repositories that the actor sees, by name."""
    with reading(services.engine) as session:
        return store.repos(session, actor.viewer)


def any_repo(services: OperationServices) -> bool:
    """Whether there is one, for the first words of a server: they name none."""
    with reading(services.engine) as session:
        return bool(store.repos(session, limit=1))


def find(services: OperationServices, actor: Actor, name: str) -> Repo | None:
    """The repository of this name, or a former one of it, for who may see its settings; None where there is none.

    Raises ForbiddenError.
    """
    with reading(services.engine) as session:
        try:
            return repo_named(session, actor, name, Role.ADMIN)
        except NotFoundError:
            return None


def add(services: OperationServices, actor: Actor, new: NewRepo) -> NewWebhook:
    """Adds a repository with a new webhook secret. Raises ForbiddenError, InvalidInputError, and ConflictError where
    the name is taken.
    """
    check_administrator(actor)
    check_name(new.name)
    check_forge(new.forge)
    check_clone_url(new.clone_url)
    with transaction(services.engine) as session:
        try:
            repo = store.add_repo(session, new)
        except AlreadyThereError as error:
            hint = "--replace changes it, --name gives this one another name"
            raise ConflictError(f"{str(error).rstrip('.')}; {hint}.") from None
        before = names.forget_former_name(session, new.name)
        former = f", a former name of {before}" if before else ""
        audit.record(session, actor, "repo.add", repo.name, audit.change("", repo.clone_url) + former)
        return new_webhook(services, session, repo)


def remove(services: OperationServices, actor: Actor, name: str) -> None:
    """Removes a repository, its runs and their logs, some runs at a time. Raises NotFoundError and ForbiddenError.

    Idempotent: what an interrupted removal has left is removed by the next.
    """
    check_administrator(actor)
    with transaction(services.engine) as session:
        repo_id = repo_named(session, actor, name, Role.ADMIN).id
        store.switch_off(session, repo_id)
        # Noted before the first run is gone: the removal may be interrupted.
        audit.record(session, actor, "repo.remove", name, f"with {store.count_runs(session, repo_id)} runs")
    more = True
    while more:
        with transaction(services.engine) as session:
            removed = store.remove_runs(session, repo_id, _RUNS_REMOVED_AT_ONCE)
            more = bool(removed.run_ids)
            if not more:
                removed = store.remove_repo(session, repo_id)
        services.logs.delete_old_files(removed.with_old_logs)
    # Their rows are marked: what a store that is away keeps now, the scheduler deletes later.
    with suppress(OSError):
        services.logs.delete_marked()


def renew_webhook_secret(services: OperationServices, actor: Actor, name: str) -> NewWebhook:
    """Makes another webhook secret; the old one stops working. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        audit.record(session, actor, "repo.hook", name, "a new webhook secret")
        return new_webhook(services, session, repo)


def set_clone_login(services: OperationServices, actor: Actor, name: str, username: str, password: str) -> None:
    """Sets the login for cloning the repository over HTTP.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        if not repo.clone_url.startswith(("https://", "http://")):
            raise InvalidInputError(
                f"{name} is cloned from {repo.clone_url}; a login is for http:// and https:// addresses."
            )
        sealed = services.vault.seal(clone_place(repo.id), password)
        audit.record(session, actor, "repo.login", name, audit.change(repo.clone_username, username))
        store.set_clone_login(session, repo.id, username, sealed)


def set_forge_token(services: OperationServices, actor: Actor, name: str, token: str, api_url: str = "") -> None:
    """Sets the token for commit statuses, and retries those that the forge refused until now.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    check_forge_token(token, api_url)
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        if repo.forge == "generic":
            raise InvalidInputError(
                f"{name} is plain git: there is no forge to report to. If there is one, add the repository again with "
                "--replace and --forge."
            )
        store.set_forge_token(session, repo.id, services.vault.seal(forge_place(repo.id), token), api_url)
        store.retry_statuses(session, repo.id)
        audit.record(session, actor, "repo.token", name, "a token for commit statuses")


def remove_forge_token(services: OperationServices, actor: Actor, name: str) -> None:
    """Removes the token: Headway reports no more commit statuses. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        store.set_forge_token(session, repo_named(session, actor, name, Role.ADMIN).id, "", "")
        audit.record(session, actor, "repo.token", name, "no token for commit statuses")


def set_trust(services: OperationServices, actor: Actor, name: str, trust: Trust) -> None:
    """Sets what the repository's pipelines may ask of the host. Raises NotFoundError and ForbiddenError.

    It is for administrators of the server: it can give root on a worker, which other repositories share.
    """
    check_administrator(actor)
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        audit.record(session, actor, "repo.trust", name, audit.change(_trusted(repo_info(repo).trust), _trusted(trust)))
        store.set_trust(session, repo.id, trust)


def _trusted(trust: Trust) -> str:
    return ", ".join(word for word, allowed in trust._asdict().items() if allowed)


def set_untrusted_runs(
    services: OperationServices, actor: Actor, name: str, runs: UntrustedRuns, pipeline_from: PipelineFrom
) -> None:
    """Sets what happens to untrusted runs, and whose pipeline file they have. Raises NotFoundError, ForbiddenError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        before = f"{repo.untrusted_runs}, pipeline from {repo.pipeline_from}"
        store.set_untrusted_runs(session, repo.id, runs.value, pipeline_from.value)
        after = f"{runs.value}, pipeline from {pipeline_from.value}"
        audit.record(session, actor, "repo.untrusted_runs", name, audit.change(before, after))


def set_newest_wins(services: OperationServices, actor: Actor, name: str, events: Collection[Event]) -> None:
    """Newer runs of these events, pushes or pull requests, end older ones.

    Raises NotFoundError, ForbiddenError, and InvalidInputError for events whose runs never end others.
    """
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        before = ", ".join(repo.newest_wins)
        try:
            store.set_newest_wins(session, repo.id, events)
        except ValueError as error:
            raise InvalidInputError(str(error)) from None
        audit.record(session, actor, "repo.newest-wins", name, audit.change(before, ", ".join(sorted(events))))


def webhook_of(services: OperationServices, actor: Actor, name: str) -> NewWebhook:
    """The repository's webhook with the secret that it has. Raises NotFoundError, ForbiddenError and VaultError."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        secret = services.vault.unseal(hook_place(repo.id), repo.hook_secret_sealed)
        return NewWebhook(repo.name, hook_url(services.settings, repo.name), secret, repo.forge)


def new_webhook(services: OperationServices, session: Session, repo: Repo) -> NewWebhook:
    """Gives the repository another webhook secret."""
    secret = auth.new_secret()
    store.set_hook_secret(session, repo.id, services.vault.seal(hook_place(repo.id), secret))
    return NewWebhook(repo.name, hook_url(services.settings, repo.name), secret, repo.forge)


def check_name(name: str) -> None:
    """Raises InvalidInputError for what cannot be a repository's name."""
    if not _NAME.fullmatch(name) or not _RESERVED_WORDS.isdisjoint(name.split("/")):
        raise InvalidInputError(
            f"{name!r} cannot be a repository's name. Choose one like owner/project with --name: letters, digits "
            f"and . _ - with slashes between; the words {', '.join(sorted(_RESERVED_WORDS))} are reserved."
        )


def check_forge(forge: str) -> None:
    """Raises InvalidInputError for a forge that Headway does not know."""
    if forge not in FORGES:
        raise InvalidInputError(f"There is no forge named {forge!r}; there are {', '.join(FORGES)}.")


def check_forge_token(token: str, api_url: str) -> None:
    """Raises InvalidInputError for what can be no token, or no API's address."""
    if not re.fullmatch(r"[!-~]+", token):
        raise InvalidInputError(
            "That is no token: a token is one word of letters, digits and signs. Give it on standard input."
        )
    parts = urlsplit(api_url)
    if api_url and not (parts.scheme in {"http", "https"} and parts.hostname and api_url.isprintable()):
        raise InvalidInputError(f"{api_url} is no address of an API, which is like https://git.example.com/api/v4.")
