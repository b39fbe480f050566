"""Asks for a repository as git does to clone it. The server has no git of its own."""

from base64 import b64encode

import httpx2

from web.operations.connecting.findings import Finding, Result
from workers.db.models import Repo
from workers.forges.api import ApiAnswer, NoAnswerError, call

_GONE = frozenset({401, 403, 404})


def clone_finding(client: httpx2.Client, repo: Repo, login: tuple[str, str] | None) -> Finding:
    """Whether the repository can be cloned with this login, or without one."""
    if not repo.clone_url.startswith(("https://", "http://")):
        return Finding(
            "clone",
            Result.UNTESTED,
            f"{repo.clone_url} is not tested here; workers clone it with their own keys and files",
        )
    headers = {"authorization": f"Basic {b64encode(':'.join(login).encode()).decode()}"} if login else {}
    try:
        answer = clone_answer(client, repo.clone_url, headers)
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
