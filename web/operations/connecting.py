"""Connects a repository with its forge by the forge's API, and says what is missing."""

import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import httpx2

from web.operations import audit
from web.operations.lookup import repo_named
from web.operations.repos import check_forge_token
from web.security.access import Actor
from web.services import OperationServices
from web.urls import hook_url
from workers import store
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading, transaction
from workers.forges.api import ApiAnswer, NoAnswerError, call
from workers.forges.hook_api import HookApi, RemoteRepo
from workers.forges.status_request import Home, NoForgeError
from workers.secrets.vault import clone_place, forge_place, hook_place

DELIVERY_S_MAX = 10.0
"""How long a test delivery may take."""
_POLL_S = 0.1
_CLONE_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}
_GONE = frozenset({401, 403, 404})


class Result(StrEnum):
    """What a test of a connection found. What was not tested is no fault."""

    OK = "ok"
    MISSING = "MISSING"
    UNTESTED = "-"


@dataclass(frozen=True)
class Finding:
    """One thing that a connection needs."""

    what: str
    result: Result
    sentence: str


def _result(ok: bool) -> Result:  # noqa: FBT001 - the value itself
    return Result.OK if ok else Result.MISSING


@dataclass(frozen=True)
class _Connection:
    """A repository as it is stored, with its token and its webhook's secret in plain."""

    services: OperationServices
    client: httpx2.Client
    repo: Repo
    token: str
    secret: str

    @property
    def api(self) -> HookApi:
        home = Home(self.repo.web_url or self.repo.clone_url, self.repo.forge_api_url)
        return HookApi(self.client, self.repo.forge, home, self.token)

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
    tests all. ``branch`` is the default branch, or empty for what the forge says.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    check_forge_token(token, api_url)
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
    home = Home(repo.web_url or repo.clone_url, api_url or repo.forge_api_url)
    try:
        answer, remote = HookApi(client, repo.forge, home, token).repo()
    except (NoAnswerError, NoForgeError) as error:
        yield Finding("token", Result.MISSING, f"the forge's API does not answer, so nothing was stored: {error}")
        return
    if remote is None:
        yield Finding(
            "token", Result.MISSING, f"{_refused(answer)}; nothing was stored. Check the address and the token"
        )
        return
    _keep(services, actor, repo, token, home.api_url, replace(remote, default_branch=branch or remote.default_branch))
    yield from check(services, actor, client, name, mend=True)


def _keep(
    services: OperationServices, actor: Actor, repo: Repo, token: str, api_url: str, remote: RemoteRepo
) -> None:  # fmt: skip
    with transaction(services.engine) as session:
        store.set_forge_token(session, repo.id, services.vault.seal(forge_place(repo.id), token), api_url)
        store.retry_statuses(session, repo.id)
        row = session.get_one(Repo, repo.id)
        row.private = remote.private
        row.default_branch = remote.default_branch or row.default_branch
        if remote.private and repo.clone_url.startswith(("https://", "http://")):
            user, _, word = token.rpartition(":")
            login = user or _CLONE_USERS.get(repo.forge, "headway")
            store.set_clone_login(session, repo.id, login, services.vault.seal(clone_place(repo.id), word))
        audit.record(session, actor, "repo.connect", repo.name, "a token for statuses, the webhook and cloning")


def check(
    services: OperationServices, actor: Actor, client: httpx2.Client, name: str, *, mend: bool = False
) -> Iterator[Finding]:
    """Tests a repository's connection: token, webhook, a test delivery, and cloning. With ``mend`` the webhook is made
    or mended. Raises NotFoundError and ForbiddenError.
    """
    with reading(services.engine) as session:
        repo = repo_named(session, actor, name, Role.ADMIN)
    unseal = services.vault.unseal
    token = unseal(forge_place(repo.id), repo.forge_token_sealed) if repo.forge_token_sealed else ""
    connection = _Connection(services, client, repo, token, unseal(hook_place(repo.id), repo.hook_secret_sealed))
    if token and repo.forge != "generic":
        try:
            yield from _by_api(connection, mend=mend)
        except (NoAnswerError, NoForgeError) as error:
            yield Finding("forge", Result.MISSING, f"the forge's API does not answer: {error}")
    elif repo.forge != "generic":
        hint = f"`headway repo add --replace --token` or `headway repo token {name}` sets one"
        yield Finding(
            "token", Result.MISSING, f"there is none, so statuses are not reported and the webhook is not seen; {hint}"
        )
    yield _last_delivery(connection)
    yield _clone(connection)


def _by_api(connection: _Connection, *, mend: bool) -> Iterator[Finding]:
    name = connection.repo.name
    answer, remote = connection.api.repo()
    if remote is None:
        yield Finding("token", Result.MISSING, f"{_refused(answer)}; `headway repo token {name}` sets another")
        return
    if remote.writes is False:
        yield Finding(
            "statuses",
            Result.MISSING,
            f"the token may not write to the repository; `headway repo token {name}` sets another",
        )
    else:
        yield Finding(
            "statuses", Result.OK, "the token may read the repository" + (" and write to it" if remote.writes else "")
        )
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


def _last_delivery(connection: _Connection) -> Finding:
    with reading(connection.services.engine) as session:
        newest = store.newest_deliveries(session, connection.repo.id, 1)
    if not newest:
        return Finding("last delivery", Result.UNTESTED, "the forge has sent nothing yet; push, or have it send a test")
    row, number = newest[0]
    reason = f"run {number}" if number is not None else row.reason
    return Finding(
        "last delivery",
        _result(row.state != store.DeliveryState.REFUSED.value),
        f"{row.state.replace('_', ' ')}: {reason}",
    )


def _clone(connection: _Connection) -> Finding:
    """Asks as git does. The server has no git of its own."""
    repo, vault = connection.repo, connection.services.vault
    if not repo.clone_url.startswith(("https://", "http://")):
        return Finding(
            "clone",
            Result.UNTESTED,
            f"{repo.clone_url} is not tested here; workers clone it with their own keys and files",
        )
    headers = {}
    if repo.clone_password_sealed:
        word = vault.unseal(clone_place(repo.id), repo.clone_password_sealed)
        headers["authorization"] = f"Basic {b64encode(f'{repo.clone_username}:{word}'.encode()).decode()}"
    try:
        answer = clone_answer(connection.client, repo.clone_url, headers)
    except NoAnswerError as error:
        return Finding("clone", Result.MISSING, f"{repo.clone_url} does not answer: {error}")
    if answer.ok:
        return Finding("clone", Result.OK, repo.clone_url)
    kind = "its login" if headers else "a request without a login"
    hint = f"`headway repo login {repo.name} -u ACCOUNT` sets one" if answer.status in _GONE else "see the forge's log"
    return Finding("clone", Result.MISSING, f"{repo.clone_url} answers {answer.status} to {kind}; {hint}")


def clone_answer(client: httpx2.Client, clone_url: str, headers: dict[str, str]) -> ApiAnswer:
    """What the server answers to the first request of a clone. Raises NoAnswerError."""
    asked = {**headers, "accept": "*/*", "git-protocol": "version=2"}
    return call(client, "GET", f"{clone_url.rstrip('/')}/info/refs?service=git-upload-pack", asked)


def is_closed(client: httpx2.Client, clone_url: str) -> bool:
    """True where the server asks for a login to clone, or knows no such repository."""
    if not clone_url.startswith(("https://", "http://")):
        return False
    try:
        return clone_answer(client, clone_url, {}).status in _GONE
    except NoAnswerError:
        return False


def _refused(answer: ApiAnswer) -> str:
    match answer.status:
        case 401:
            return f"the forge does not know this token ({answer.said})"
        case 403 | 404:
            return f"the token may not see the repository, or there is none ({answer.said})"
        case _:
            return f"the forge's API answers {answer.said}"
