"""Sets, lists and removes tokens of forges: of a repository, of an owner (``team/*``) or of all (``*``).

A token of an owner is for the host that it is given for, whatever repositories come to be on others.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import check_administrator, repo_named
from web.operations.repos import repos
from web.operations.repos.owners import owner_in, place_of
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import Repo, SharedForgeToken
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.forges.status_request import Home, NoForgeError, site
from workers.forges.tokens import host_of, place_name, shared_token_of
from workers.secrets.vault import shared_forge_place
from workers.store.repos.forge_tokens import drop_forge_token, forge_tokens_of, put_forge_token
from workers.store.runs.statuses import retry_statuses_of_owner


@dataclass(frozen=True)
class TokenInfo:
    """What users may see of a token: whose it is, which host it is for, and where the API is if that was said."""

    place: str
    host: str
    api_url: str


def list_tokens(services: OperationServices, actor: Actor, name: str) -> list[TokenInfo]:
    """The tokens of an owner, or the one that is used for a repository. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        if owner_in(name) is not None:
            _, owner = place_of(session, actor, name)
            return [_info(row) for row in forge_tokens_of(session, owner)]
        repo = repo_named(session, actor, name, Role.ADMIN)
        return [found] if (found := used_for(session, repo)) else []


def used_for(session: Session, repo: Repo) -> TokenInfo | None:
    """The token with which a repository's statuses are reported, if there is one."""
    if repo.forge_token_sealed:
        return TokenInfo(repo.name, _site(repo), repo.forge_api_url)
    row = shared_token_of(session, repo)
    return _info(row) if row else None


def put(services: OperationServices, actor: Actor, name: str, token: str, host: str = "", api_url: str = "") -> None:
    """Sets the token of a repository, or of an owner for the forge at ``host``, and retries what was given up.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    if owner_in(name) is None:
        if host:
            raise InvalidInputError(f"--host is for an owner's tokens: that of {name} is for the host of its address.")
        if api_url:
            check_administrator(actor)  # this server sends requests there
        repos.set_forge_token(services, actor, name, token, api_url)
        return
    repos.check_forge_token(token, api_url)
    with transaction(services.engine) as session:
        _, owner = place_of(session, actor, name)
        given = _host(host)
        put_forge_token(session, owner, given, api_url, services.vault.seal(shared_forge_place(owner, given), token))
        retry_statuses_of_owner(session, owner)
        audit.record(session, actor, "repo.token", f"{name} {given}", "a token for statuses, webhooks and cloning")


def remove(services: OperationServices, actor: Actor, name: str, host: str = "") -> None:
    """Removes a token. Raises NotFoundError, ForbiddenError and InvalidInputError."""
    if owner_in(name) is None:
        repos.remove_forge_token(services, actor, name)
        return
    with transaction(services.engine) as session:
        _, owner = place_of(session, actor, name)
        given = _host(host)
        if not drop_forge_token(session, owner, given):
            raise NotFoundError(f"{name} has no token for {given}.")
        audit.record(session, actor, "repo.token", f"{name} {given}", "no token")


def _info(row: SharedForgeToken) -> TokenInfo:
    return TokenInfo(place_name(row.owner), row.host, row.api_url)


def _host(host: str) -> str:
    try:
        return host_of(host)
    except ValueError:
        what = f"{host!r} names no forge" if host else "Name the forge that the token is for"
        raise InvalidInputError(
            f"{what}: write --host git.example.com, or --host http://git.example.com:3000."
        ) from None


def _site(repo: Repo) -> str:
    try:
        return site(Home(repo.web_url or repo.clone_url))[0]
    except NoForgeError:
        return ""
