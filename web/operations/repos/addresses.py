"""Changes of a repository's address, its forge and its name. Each login stays with the host that it was given for."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import ConflictError
from web.operations.lookup import check_administrator, repo_named
from web.operations.repos.clone_urls import check_clone_url, is_same_host, moved_page
from web.operations.repos.repos import NewWebhook, check_forge, check_name, new_webhook
from web.security.access import Actor
from web.services import OperationServices
from web.urls import hook_url
from workers import store
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import transaction
from workers.forges.status_request import Home, NoForgeError, site
from workers.store.repos import names


@dataclass(frozen=True)
class RepoChanges:
    """What is to change of a repository; what is None stays as it is."""

    clone_url: str
    forge: str | None = None
    web_url: str | None = None
    default_branch: str | None = None
    private: bool | None = None
    push_repo: str | None = None
    new_secret: bool = False


@dataclass(frozen=True)
class Replaced:
    """What ``replace`` changed, in words; empty where nothing. ``forgotten`` are the logins of another host.

    ``webhook`` is None where its secret stays.
    """

    changed: str
    forgotten: list[str]
    webhook: NewWebhook | None


@dataclass(frozen=True)
class NewAddress:
    """A repository's new address. ``forgotten``: its logins that were for another host, and are kept no longer."""

    clone_url: str
    web_url: str
    forgotten: list[str]


@dataclass(frozen=True)
class Renamed:
    """A repository's new name. ``taken_from`` is the repository that had it before, or empty."""

    name: str
    hook_url: str
    taken_from: str


def replace(services: OperationServices, actor: Actor, name: str, changes: RepoChanges) -> Replaced:
    """Changes a repository: what is named, and nothing else but logins that were for another host.

    Raises NotFoundError, ForbiddenError, InvalidInputError.
    """
    check_administrator(actor)
    check_clone_url(changes.clone_url)
    check_forge(changes.forge or "generic")
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        before = _settings_of(repo)
        pages = _page_after(repo, changes.clone_url) if changes.web_url is None else changes.web_url
        forgotten = _move(session, repo, changes.clone_url, pages)
        for setting in ("forge", "default_branch", "private", "push_repo"):
            if (value := getattr(changes, setting)) is not None:
                setattr(repo, setting, value)
        repo.active = True  # a removal that was interrupted has switched it off
        renew = changes.new_secret or not repo.hook_secret_sealed
        webhook = new_webhook(services, session, repo) if renew else None
        changed = audit.changes(before, _settings_of(repo))
        more = [*(f"{login} forgotten" for login in forgotten), *(["and a new webhook secret"] if webhook else [])]
        audit.record(session, actor, "repo.change", repo.name, ", ".join([changed or "the same settings", *more]))
        return Replaced(changed, forgotten, webhook)


def set_url(services: OperationServices, actor: Actor, name: str, url: str, web_url: str = "") -> NewAddress:
    """Changes the repository's address after it has moved; its runs, secrets and webhook stay.

    The clone login and the forge token are kept only for the host that they were given for.
    Raises NotFoundError, ForbiddenError, InvalidInputError.
    """
    check_administrator(actor)
    check_clone_url(url)
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        old, pages = repo.clone_url, web_url or _page_after(repo, url)
        forgotten = _move(session, repo, url, pages)
        words = ", ".join([audit.change(old, url), *(f"{login} forgotten" for login in forgotten)])
        audit.record(session, actor, "repo.url", repo.name, words)
        return NewAddress(url, pages, forgotten)


def rename(services: OperationServices, actor: Actor, name: str, new_name: str) -> Renamed:
    """Gives the repository another name. Addresses with the old one lead to it still, also that of its webhook.

    It is for administrators of the server: a name says which owner's secrets and logins a repository may use.
    Raises NotFoundError, ForbiddenError, InvalidInputError, and ConflictError where the name is taken.
    """
    check_administrator(actor)
    check_name(new_name)
    taken = ConflictError(f"There is already a repository named {new_name}. Choose another name, or rename that first.")
    try:
        with transaction(services.engine) as session:
            repo = repo_named(session, actor, name, Role.ADMIN)
            if store.repo_by_name(session, new_name) is not None:
                raise taken
            old, other = repo.name, names.repo_by_former_name(session, new_name)
            names.rename_repo(session, repo.id, old, new_name)
            audit.record(session, actor, "repo.rename", new_name, audit.change(old, new_name))
    except IntegrityError:
        raise taken from None
    lost = other.name if other is not None and other.id != repo.id else ""
    return Renamed(new_name, hook_url(services.settings, new_name), lost)


def is_same_forge(repo: Repo, url: str) -> bool:
    """Whether the address is at the forge where the repository is now."""
    return is_same_host(_forge_of(repo.web_url or repo.clone_url), _forge_of(url))


def is_at_its_forge(repo: Repo) -> bool:
    """Whether the repository is cloned over HTTP from the host of its forge."""
    over_http = repo.clone_url.startswith(("https://", "http://"))
    return over_http and is_same_forge(repo, repo.clone_url)


def _page_after(repo: Repo, url: str) -> str:
    """The repository's page where its clone address becomes ``url``, and no page is named."""
    return repo.web_url if url == repo.clone_url else moved_page(repo.web_url, repo.clone_url, url)


def _move(session: Session, repo: Repo, url: str, web_url: str) -> list[str]:
    """Stores the addresses. Forgets the logins where they were for another host, and says which they were."""
    same = is_same_host(repo.clone_url, url) and is_same_forge(repo, web_url or url)
    logins = {"the login for cloning": repo.clone_password_sealed, "the forge's token": repo.forge_token_sealed}
    forgotten = [] if same else [login for login, sealed in logins.items() if sealed]
    if forgotten:
        repo.clone_username = repo.clone_password_sealed = ""
        repo.forge_token_sealed = repo.forge_api_url = ""
    if (repo.clone_url, repo.web_url) != (url, web_url):
        repo.clone_url, repo.web_url, repo.moved_to = url, web_url, ""
        store.retry_statuses(session, repo.id)
    return forgotten


def _settings_of(repo: Repo) -> dict[str, object]:
    """What ``replace`` may set, without secrets: a clone URL with a password is refused."""
    return {
        "clone_url": repo.clone_url,
        "forge": repo.forge,
        "web_url": repo.web_url,
        "default_branch": repo.default_branch,
        "private": repo.private,
        "push_repo": repo.push_repo,
        "active": repo.active,
    }


def _forge_of(address: str) -> str:
    """The site of the forge to which its token is sent."""
    try:
        return site(Home(address))[0]
    except NoForgeError:
        return address
