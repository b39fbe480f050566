"""Connects a repository with its forge by the forge's API, and says what is missing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx2

from web.operations import audit
from web.operations.connecting.clone_check import clone_finding
from web.operations.connecting.findings import Finding, Result
from web.operations.lookup import repo_named
from web.operations.repos.addresses import is_at_its_forge
from web.operations.repos.repos import check_forge_token
from web.security.access import Actor
from web.services import OperationServices
from web.urls import hook_url
from workers import store
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading, transaction
from workers.forges.api import ApiAnswer, NoAnswerError
from workers.forges.hook_api import HookApi, RemoteRepo
from workers.forges.status_request import Home, NoForgeError
from workers.forges.tokens import ForgeToken, clone_login_for, clone_user, place_name, shared_token_of, token_for
from workers.secrets.vault import clone_place, forge_place, hook_place

DELIVERY_S_MAX = 10.0
"""How long a test delivery may take."""
_POLL_S = 0.1


def _result(ok: bool) -> Result:  # noqa: FBT001 - the value itself
    return Result.OK if ok else Result.MISSING


@dataclass(frozen=True)
class _Connection:
    """A repository as it is stored, with the token for its forge, its webhook's secret and its login in plain."""

    services: OperationServices
    client: httpx2.Client
    repo: Repo
    token: ForgeToken
    secret: str

    @property
    def api(self) -> HookApi:
        home = Home(self.repo.web_url or self.repo.clone_url, self.token.api_url)
        return HookApi(self.client, self.repo.forge, home, self.token.value)

    @property
    def hook_url(self) -> str:
        return hook_url(self.services.settings, self.repo.name)


def connect(
    services: OperationServices,
    actor: Actor,
    client: httpx2.Client,
    name: str,
    token: str,
    api_url: str = "",
    branch: str = "",
) -> Iterator[Finding]:
    """Keeps the token for statuses and, of a private repository, for cloning; then makes or mends the webhook and
    tests all. Without a token that of an owner is used, and not kept. ``branch`` is the default branch, or empty for
    what the forge says.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        shared = None if token else token_for(session, services.vault, repo)
    if shared is None:
        check_forge_token(token, api_url)
    used = shared or ForgeToken(repo.name, "", api_url or repo.forge_api_url, token)
    home = Home(repo.web_url or repo.clone_url, used.api_url)
    try:
        answer, remote = HookApi(client, repo.forge, home, used.value).repo()
    except (NoAnswerError, NoForgeError) as error:
        yield Finding("token", Result.MISSING, f"the forge's API does not answer, so nothing was stored: {error}")
        return
    if remote is None:
        hint = (
            f"Check the address, or set another token: {used.command}" if shared else "Check the address and the token"
        )
        yield Finding("token", Result.MISSING, f"{_refused(answer)}; nothing was stored. {hint}")
        return
    _keep(services, actor, repo, used, replace(remote, default_branch=branch or remote.default_branch))
    yield from check(services, actor, client, name, mend=True)


def _keep(
    services: OperationServices, actor: Actor, repo: Repo, token: ForgeToken, remote: RemoteRepo
) -> None:  # fmt: skip
    with transaction(services.engine) as session:
        row = session.get_one(Repo, repo.id)
        row.private = remote.private
        row.default_branch = remote.default_branch or row.default_branch
        whose = f"the token of {token.place} for {token.host}" if token.host else "a token"
        audit.record(session, actor, "repo.connect", repo.name, f"{whose} for statuses, the webhook and cloning")
        if token.host:
            return
        sealed = services.vault.seal(forge_place(repo.id), token.value)
        store.set_forge_token(session, repo.id, sealed, token.api_url)
        store.retry_statuses(session, repo.id)
        # Where it is cloned from another host, that host must not get the forge's token.
        if remote.private and is_at_its_forge(repo):
            login, word = clone_user(repo.forge, token.value)
            store.set_clone_login(session, repo.id, login, services.vault.seal(clone_place(repo.id), word))


def shared_token(services: OperationServices, actor: Actor, name: str) -> str:
    """Whose token is used for a repository that has none of its own; empty if there is none.

    Raises NotFoundError and ForbiddenError.
    """
    with reading(services.engine) as session:
        row = shared_token_of(session, repo_named(session, actor, name, Role.ADMIN))
        return place_name(row.owner) if row else ""


def check(
    services: OperationServices, actor: Actor, client: httpx2.Client, name: str, *, mend: bool = False
) -> Iterator[Finding]:
    """Tests a repository's connection: token, webhook, a test delivery, and cloning. With ``mend`` the webhook is made
    or mended. Raises NotFoundError and ForbiddenError.
    """
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        token = token_for(session, services.vault, repo)
    if token and repo.forge != "generic":
        secret = services.vault.unseal(hook_place(repo.id), repo.hook_secret_sealed)
        try:
            yield from _by_api(_Connection(services, client, repo, token, secret), actor, mend=mend)
        except (NoAnswerError, NoForgeError) as error:
            yield Finding("forge", Result.MISSING, f"the forge's API does not answer: {error}")
    elif repo.forge != "generic":
        hint = f"`headway repo add --replace --token` or `headway repo token {name}` sets one"
        yield Finding(
            "token", Result.MISSING, f"there is none, so statuses are not reported and the webhook is not seen; {hint}"
        )
    yield _last_delivery(services, repo)
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
        login = clone_login_for(session, services.vault, repo)
    yield clone_finding(client, repo, login)


def _by_api(connection: _Connection, actor: Actor, *, mend: bool) -> Iterator[Finding]:
    token = connection.token
    answer, remote = connection.api.repo()
    whose = f"that of {token.place} for {token.host}" if token.host else "the repository's own"
    if remote is None:
        yield Finding("token", Result.MISSING, f"{whose}: {_refused(answer)}; {token.command} sets another")
        return
    yield Finding("token", Result.OK, whose)
    if remote.writes is False:
        yield Finding(
            "statuses", Result.MISSING, f"the token may not write to the repository; {token.command} sets another"
        )
    else:
        yield Finding(
            "statuses", Result.OK, "the token may read the repository" + (" and write to it" if remote.writes else "")
        )
    if token.host and remote.private and not connection.repo.private:
        yield _private(connection, actor, remote, mend=mend)
    yield from _webhook(connection, mend=mend)


def _webhook(connection: _Connection, *, mend: bool) -> Iterator[Finding]:
    name = connection.repo.name
    answer, hooks = connection.api.hooks()
    if not answer.ok:
        hint = "give it the right to manage webhooks, or enter the webhook by hand: `headway repo hook` shows how"
        yield Finding("webhook", Result.MISSING, f"the token may not see webhooks ({answer.said}); {hint}")
        return
    mine = [hook for hook in hooks if hook.url == connection.hook_url]
    known = next((hook for hook in mine if hook.right), mine[0] if mine else None)
    if mend:
        answer, hook_id = connection.api.put_hook(connection.hook_url, connection.secret, known)
        if not answer.ok:
            hint = "give it the right to manage webhooks, or enter the webhook by hand: `headway repo hook` shows how"
            yield Finding("webhook", Result.MISSING, f"the forge refused it ({answer.said}); {hint}")
            return
        yield Finding("webhook", Result.OK, f"{'mended' if known else 'made'}: {connection.hook_url}")
    elif known is None:
        yield Finding(
            "webhook",
            Result.MISSING,
            f"the forge has none for {connection.hook_url}; `headway repo check {name} --mend` makes it",
        )
        return
    else:
        hook_id = known.id
        wrong = f"it is off, or lacks events or the content type; `headway repo check {name} --mend` mends it"
        yield Finding("webhook", _result(known.right), connection.hook_url if known.right else wrong)
    yield _tested(connection, hook_id)


def _private(connection: _Connection, actor: Actor, remote: RemoteRepo, *, mend: bool) -> Finding:
    """An owner's token clones only what is known to be private."""
    if not mend:
        hint = f"`headway repo check {connection.repo.name} --mend` notes that, so that it is cloned with the token"
        return Finding("private", Result.MISSING, f"the forge says that the repository is private; {hint}")
    branch = replace(remote, default_branch=connection.repo.default_branch)
    _keep(connection.services, actor, connection.repo, connection.token, branch)
    return Finding("private", Result.OK, "noted: it is cloned with the token")


def _tested(connection: _Connection, hook_id: str) -> Finding:
    """Has the forge send a delivery, and waits until it is here."""
    with reading(connection.services.engine) as session:
        since_ms = db_now_ms(session)
    answer = connection.api.test_hook(hook_id)
    if answer is None:
        return Finding(
            "delivery", Result.UNTESTED, "this forge sends no test; the next push shows whether its deliveries arrive"
        )
    deadline_s = time.monotonic() + DELIVERY_S_MAX
    while answer.ok and time.monotonic() < deadline_s:
        with reading(connection.services.engine) as session:
            newest = store.newest_deliveries(session, connection.repo.id, 1)
        if newest and newest[0][0].received_ms >= since_ms:
            row = newest[0][0]
            return Finding(
                "delivery", _result(row.state != store.DeliveryState.REFUSED.value), row.reason or "it arrived"
            )
        time.sleep(_POLL_S)
    why = (
        f"none arrived within {DELIVERY_S_MAX:.0f} seconds"
        if answer.ok
        else f"the forge could not send it ({answer.said})"
    )
    hint = "Headway must run, and the forge must reach this address, which HEADWAY_BASE_URL begins"
    return Finding("delivery", Result.MISSING, f"{why}: {connection.hook_url}; {hint}")


def _last_delivery(services: OperationServices, repo: Repo) -> Finding:
    with reading(services.engine) as session:
        newest = store.newest_deliveries(session, repo.id, 1)
    if not newest:
        return Finding("last delivery", Result.UNTESTED, "the forge has sent nothing yet; push, or have it send a test")
    row, number = newest[0]
    reason = f"run {number}" if number is not None else row.reason
    return Finding(
        "last delivery",
        _result(row.state != store.DeliveryState.REFUSED.value),
        f"{row.state.replace('_', ' ')}: {reason}",
    )


def _refused(answer: ApiAnswer) -> str:
    match answer.status:
        case 401:
            return f"the forge does not know this token ({answer.said})"
        case 403 | 404:
            return f"the token may not see the repository, or there is none ({answer.said})"
        case _:
            return f"the forge's API answers {answer.said}"
