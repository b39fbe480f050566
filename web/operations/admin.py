"""What an administrator does on the command line."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pipelines.context import Trust
from pipelines.trigger import Event
from web.security import auth
from web.urls import hook_url, login_url
from workers import store
from workers.db.models import Repo, User
from workers.db.session import reading, transaction
from workers.errors import StartError
from workers.forges import FORGES, generic
from workers.logs import LogStore
from workers.secrets.vault import Vault, clone_place, forge_place, hook_place, registry_place, secret_place
from workers.settings import Settings
from workers.store import AlreadyThereError, NewRepo, SecretInfo

FIRST_USER = "admin"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_TAKEN_WORDS = frozenset({"runs", "settings", "secrets", "crons"})
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^-].*")
_FORGES_BY_HOST = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "gitea",
}
_NAME_PARTS = 2


@dataclass(frozen=True)
class Hooked:
    """A repository and its new webhook secret, which is shown once."""

    name: str
    url: str
    secret: str
    forge: str

    @property
    def setup(self) -> str:
        """What to paste where."""
        return FORGES[self.forge].setup_text(self.url, self.secret)

    def write_hook(self, path: Path) -> None:
        """Writes the ready ``post-receive`` hook, for its owner's eyes alone. Raises StartError."""
        if self.forge != "generic":
            raise StartError(f"A hook file is for plain git repositories; {self.forge} is set up on its own pages.")
        try:
            path.touch(mode=0o700)
            path.chmod(0o700)
            path.write_text(generic.hook_script(self.url, self.secret))
        except OSError as error:
            raise StartError(f"The hook could not be written to {path}: {error.strerror}.") from None


def name_from(url: str) -> str:
    """``owner/project`` from a clone address, or the folder's name of a local one."""
    local = url.startswith(("/", "file:"))
    path = url.partition(":")[2] if _SCP.fullmatch(url) else urlsplit(url).path
    parts = [part for part in path.rstrip("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[-1:] if local else parts[-_NAME_PARTS:])


def forge_from(url: str) -> str:
    """The forge that the address belongs to, as far as its host tells."""
    host = url.partition("@")[2].partition(":")[0] if _SCP.fullmatch(url) else urlsplit(url).hostname
    return _FORGES_BY_HOST.get(host or "", "generic")


def check_repo(new: NewRepo) -> None:
    """Raises StartError for a repository that could not be addressed or cloned."""
    if not _NAME.fullmatch(new.name) or not _TAKEN_WORDS.isdisjoint(new.name.split("/")):
        raise StartError(
            f"{new.name!r} cannot be a repository's name. Choose one like owner/project with --name: letters, digits "
            f"and . _ - with slashes between; the words {', '.join(sorted(_TAKEN_WORDS))} are taken."
        )
    if new.forge not in FORGES:
        raise StartError(f"There is no forge named {new.forge!r}; there are {', '.join(FORGES)}.")
    parts = urlsplit(new.clone_url)
    remote = parts.scheme in {"https", "http", "ssh"} and parts.hostname
    if not (remote or parts.scheme == "file" or _SCP.fullmatch(new.clone_url)) or not new.clone_url.isprintable():
        allowed = "https://, http://, ssh://, file://, /path or user@host:path"
        raise StartError(f"That is no address that can be cloned from: use {allowed}.")
    if parts.password:
        raise StartError("The address holds a password, which pages and logs would show. Leave it out of the address.")


@dataclass(frozen=True)
class Administrator:
    """Carries out what an administrator asks. Each method is one transaction, and raises StartError where it cannot."""

    settings: Settings
    engine: Engine
    vault: Vault
    logs: LogStore

    def add_repo(self, new: NewRepo, *, replace: bool = False) -> Hooked:
        """Adds a repository, or with ``replace`` changes the one of that name. Its webhook secret is new."""
        check_repo(new)
        with transaction(self.engine) as session:
            repo = store.repo_by_name(session, new.name) if replace else None
            if repo is None:
                try:
                    repo = store.add_repo(session, new)
                except AlreadyThereError as error:
                    hint = "--replace changes it, --name gives this one another name"
                    raise StartError(f"{str(error).rstrip('.')}; {hint}.") from None
            repo.clone_url, repo.forge, repo.web_url = new.clone_url, new.forge, new.web_url
            repo.default_branch, repo.private, repo.push_repo = new.default_branch, new.private, new.push_repo
            return self._new_hook_secret(session, repo)

    def renew_hook(self, name: str) -> Hooked:
        """Another webhook secret; the old one stops working."""
        with transaction(self.engine) as session:
            return self._new_hook_secret(session, _repo(session, name))

    def set_clone_login(self, name: str, username: str, password: str) -> None:
        """Keeps the login with which the repository is cloned over HTTP."""
        with transaction(self.engine) as session:
            repo = _repo(session, name)
            if not repo.clone_url.startswith(("https://", "http://")):
                raise StartError(
                    f"{name} is cloned from {repo.clone_url}; a login is for http:// and https:// addresses."
                )
            sealed = self.vault.seal(clone_place(repo.id), password)
            store.set_clone_login(session, repo.id, username, sealed)

    def set_forge_token(self, name: str, token: str, api_url: str = "") -> None:
        """Keeps the token with which the forge is told how runs go, and tells it of what it refused till now."""
        check_forge_token(token, api_url)
        with transaction(self.engine) as session:
            repo = _repo(session, name)
            if repo.forge == "generic":
                raise StartError(
                    f"{name} is plain git: there is no forge to tell. If there is one, add it again with --replace "
                    "and --forge."
                )
            store.set_forge_token(session, repo.id, self.vault.seal(forge_place(repo.id), token), api_url)
            store.retry_statuses(session, repo.id)

    def drop_forge_token(self, name: str) -> None:
        """Forgets the token: the forge hears no more of runs."""
        with transaction(self.engine) as session:
            store.set_forge_token(session, _repo(session, name).id, "", "")

    def set_trust(self, name: str, trust: Trust) -> None:
        """What the repository's pipelines may ask of the host."""
        with transaction(self.engine) as session:
            store.set_trust(session, _repo(session, name).id, trust)

    def set_newest_wins(self, name: str, events: Collection[Event]) -> None:
        """Newer runs of these events, pushes or pull requests, end older ones."""
        with transaction(self.engine) as session:
            store.set_newest_wins(session, _repo(session, name).id, events)

    def repos(self) -> Sequence[Repo]:
        """All repositories."""
        with reading(self.engine) as session:
            return store.repos(session)

    def remove_repo(self, name: str) -> None:
        """Removes a repository, its runs and their logs."""
        with transaction(self.engine) as session:
            run_ids = store.remove_repo(session, _repo(session, name).id)
        for run_id in run_ids:
            self.logs.delete_run(run_id)

    def put_secret(self, repo: str, name: str, value: str, events: Sequence[Event] | None) -> None:
        """Adds or replaces a secret."""
        check_secret(name, value)
        with transaction(self.engine) as session:
            repo_id = _repo(session, repo).id
            store.put_secret(session, repo_id, name, self.vault.seal(secret_place(repo_id, name), value), events)

    def secrets(self, repo: str) -> list[SecretInfo]:
        """The repository's secrets without their values."""
        with reading(self.engine) as session:
            return store.secrets_of(session, _repo(session, repo).id)

    def drop_secret(self, repo: str, name: str) -> None:
        """Removes a secret."""
        with transaction(self.engine) as session:
            if not store.drop_secret(session, _repo(session, repo).id, name):
                raise StartError(f"{repo} has no secret named {name}.")

    def put_registry(self, repo: str, host: str, username: str, password: str) -> None:
        """Keeps a login to a registry, for one repository or (empty) for all."""
        if not password:
            raise StartError("The password is empty. Give it on standard input.")
        with transaction(self.engine) as session:
            repo_id = _repo(session, repo).id if repo else None
            sealed = self.vault.seal(registry_place(repo_id, host), password)
            store.put_registry(session, repo_id, host, username, sealed)

    def registries(self) -> list[tuple[str, str, str]]:
        """Host, account and repository (empty: all) of every login."""
        with reading(self.engine) as session:
            names: dict[int | None, str] = {repo.id: repo.name for repo in store.repos(session)}
            return [(row.host, row.username, names.get(row.repo_id, "")) for row in store.registries(session)]

    def drop_registry(self, repo: str, host: str) -> None:
        """Forgets a login to a registry."""
        with transaction(self.engine) as session:
            if not store.drop_registry(session, _repo(session, repo).id if repo else None, host):
                raise StartError(f"There is no login to {host}{f' for {repo}' if repo else ''}.")

    def add_user(self, name: str, *, is_admin: bool) -> str:
        """Adds a user; the address of a link that logs them in once."""
        if not _NAME.fullmatch(name):
            raise StartError("A user's name consists of letters, digits and . _ -")
        try:
            with transaction(self.engine) as session:
                user = store.add_user(session, name, is_admin=is_admin)
        except AlreadyThereError as error:
            raise StartError(f"{error} headway user link {name} makes a login link.") from None
        return self._link(user)

    def link_user(self, name: str) -> str:
        """The address of a link that logs the user in once within a day."""
        return self._link(self._user(name))

    def users(self) -> Sequence[User]:
        """All users."""
        with reading(self.engine) as session:
            return store.users(session)

    def make_token(self, user: str, name: str, lifetime_s: int | None) -> str:
        """A token for programs, which is shown once."""
        user_id = self._user(user).id
        token = auth.new_token()
        with transaction(self.engine) as session:
            store.add_token(session, user_id, name, auth.hashed(token), lifetime_s)
        return token

    def first_login(self) -> str | None:
        """At the very first start: makes the first user; the address of a link that logs them in once. Else None."""
        if self.users():
            return None
        try:
            return self.add_user(FIRST_USER, is_admin=True)
        except StartError:
            return None  # another process was first, and prints its link

    def _new_hook_secret(self, session: Session, repo: Repo) -> Hooked:
        secret = auth.new_secret()
        store.set_hook_secret(session, repo.id, self.vault.seal(hook_place(repo.id), secret))
        return Hooked(repo.name, hook_url(self.settings, repo.name), secret, repo.forge)

    def _user(self, name: str) -> User:
        with reading(self.engine) as session:
            user = store.user_by_name(session, name)
        if user is None:
            raise StartError(f"There is no user named {name}. headway user add {name} makes one.")
        return user

    def _link(self, user: User) -> str:
        return login_url(self.settings, auth.make_login_link(self.engine, user.id))


def check_secret(name: str, value: str) -> None:
    """Raises StartError for a secret that no pipeline could use."""
    if not _SECRET.fullmatch(name):
        raise StartError("A secret's name consists of letters, digits and _ . - and begins with a letter or _.")
    if not value:
        raise StartError("The secret has no value. Give it on standard input.")


def check_forge_token(token: str, api_url: str) -> None:
    """Raises StartError for a token or an address that no request could be made of."""
    if not re.fullmatch(r"[!-~]+", token):
        raise StartError("That is no token: it is one word of letters, digits and signs. Give it on standard input.")
    parts = urlsplit(api_url)
    if api_url and not (parts.scheme in {"http", "https"} and parts.hostname and api_url.isprintable()):
        raise StartError(f"{api_url} is no address of an API, which is like https://git.example.com/api/v4.")


_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def _repo(session: Session, name: str) -> Repo:
    repo = store.repo_by_name(session, name)
    if repo is None:
        raise StartError(f"There is no repository named {name}. headway repo list shows all.")
    return repo
