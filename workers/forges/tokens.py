"""The token with which a repository's forge is asked: its own, else that of the nearest owner, for this host alone.

A token of an owner is for the host that it was given for. It is found by the repository's present address, so it goes
nowhere else after that has changed; redirects to other hosts are not followed.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from workers.db.models import Repo, SharedForgeToken
from workers.forges.status_request import Home, NoForgeError, site
from workers.secrets.vault import Vault, clone_place, forge_place, shared_forge_place
from workers.store.repos.forge_tokens import forge_token_in_reach

_CLONE_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ForgeToken:
    """A token. ``place`` is whose it is: a repository's name, ``team/*``, or ``*``. ``host`` is empty for its own."""

    place: str
    host: str
    api_url: str
    value: str = field(repr=False)

    @property
    def command(self) -> str:
        """The command that sets another in its place."""
        return f"`headway repo token '{self.place}' --host {self.host}`" if self.host else (
            f"`headway repo token {self.place}`"
        )  # fmt: skip


def host_of(address: str) -> str:
    """Scheme, host and port of a forge's address in one spelling: ``https://git.example.com``. ``git.example.com`` is
    https. Raises ValueError for anything else.
    """
    parts = urlsplit(address if "://" in address else f"https://{address}")
    name, port = parts.hostname or "", parts.port
    if parts.scheme not in _PORTS or not name or parts.username is not None or parts.password is not None:
        raise ValueError(address)
    if parts.path.strip("/") or parts.query or parts.fragment or not address.isprintable() or " " in address:
        raise ValueError(address)
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}" + ("" if port in {None, _PORTS[parts.scheme]} else f":{port}")


def place_name(owner: str) -> str:
    """How commands and pages write an owner."""
    return f"{owner}/*" if owner else "*"


def token_for(session: Session, vault: Vault, repo: Repo) -> ForgeToken | None:
    """The token for the API of the repository's forge, if there is one. Raises VaultError."""
    if repo.forge_token_sealed:
        own = vault.unseal(forge_place(repo.id), repo.forge_token_sealed)
        return ForgeToken(repo.name, "", repo.forge_api_url, own)
    return _unsealed(vault, shared_token_of(session, repo))


def shared_token_of(session: Session, repo: Repo) -> SharedForgeToken | None:
    """The owner's token for the API of the repository's forge, where it has none of its own."""
    if repo.forge == "generic" or repo.forge_token_sealed:
        return None
    host = _api_host(repo)
    return forge_token_in_reach(session, repo.name, host) if host else None


def clone_login_for(session: Session, vault: Vault, repo: Repo) -> tuple[str, str] | None:
    """The user and the password with which the repository is cloned over HTTP, if it needs any. Raises VaultError.

    An owner's token is for private repositories alone: where it has expired, public ones are still cloned.
    """
    if repo.clone_password_sealed:
        return repo.clone_username, vault.unseal(clone_place(repo.id), repo.clone_password_sealed)
    shared = clone_token_for(session, vault, repo) if repo.private else None
    return clone_user(repo.forge, shared.value) if shared else None


def clone_token_for(session: Session, vault: Vault, repo: Repo) -> ForgeToken | None:
    """The owner's token with which the repository could be cloned, if there is one. Raises VaultError."""
    host = _host_or_nothing(repo.clone_url) if "://" in repo.clone_url else ""
    return _unsealed(vault, forge_token_in_reach(session, repo.name, host) if host else None)


def clone_user(forge: str, token: str) -> tuple[str, str]:
    """The user and the password with which git presents a token."""
    user, _, word = token.rpartition(":")
    return user or _CLONE_USERS.get(forge, "headway"), word


def _unsealed(vault: Vault, row: SharedForgeToken | None) -> ForgeToken | None:
    if row is None:
        return None
    value = vault.unseal(shared_forge_place(row.owner, row.host), row.sealed)
    return ForgeToken(place_name(row.owner), row.host, row.api_url, value)


def _api_host(repo: Repo) -> str:
    try:
        return _host_or_nothing(site(Home(repo.web_url or repo.clone_url))[0])
    except NoForgeError:
        return ""


def _host_or_nothing(url: str) -> str:
    """The host of a repository's address; empty where that is not one over HTTP."""
    parts = urlsplit(url)
    try:
        return host_of(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    except ValueError:
        return ""
