"""What the forges share about commit statuses: the status, the request that sets it, and what the answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from pipelines.state import State
from pipelines.visible import visible_line

_SCP = re.compile(r"[^/@:]+@(?P<host>[^/:]+):(?P<path>.+)")
_SAID_CHARS_MAX = 160
# GitHub and Gitea have no state "skipped": a job that did not run must not pass as a required check.
_GITHUB_STATES: Mapping[State, str] = {
    State.QUEUED: "pending",
    State.RUNNING: "pending",
    State.PASSED: "success",
    State.FAILED: "failure",
    State.BROKEN: "error",
    State.CANCELED: "error",
    State.SKIPPED: "error",
}
_REDIRECTS = range(300, 400)
_RATE_LIMITED, _SERVER_ERRORS = 429, 500
_RETRYABLE = frozenset({408, 425, _RATE_LIMITED})
_COMMIT_UNKNOWN = frozenset({404, 409, 422})


@dataclass(frozen=True)
class CommitStatus:
    """The status of a run, or of one of its workflows. ``branch`` is the branch of the commit, if it is known."""

    sha: str
    state: State
    context: str
    sentence: str
    url: str
    branch: str = ""


@dataclass(frozen=True)
class Home:
    """A repository's address at its forge: its page or its clone URL; and the forge's API, if a user named it."""

    address: str
    api_url: str = ""


@dataclass(frozen=True)
class Request:
    """A POST of JSON. An answer 400 that contains ``known_by`` means that the forge has this status already."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, str]
    known_by: str = ""


@dataclass(frozen=True)
class Answer:
    """A forge's answer. ``said`` is its error message; its rate limit asks for a pause of ``pause_s`` seconds.

    ``url`` is where it came from, after redirects.
    """

    status: int
    said: str = ""
    pause_s: int = 0
    location: str = ""
    url: str = ""


class NoForgeError(ValueError):
    """No commit status can be sent. The sentence says why, and what to do."""


def site(home: Home) -> tuple[str, str]:
    """The forge's own address, such as ``https://git.example.com``, and the repository's path. Raises NoForgeError."""
    if over_ssh := _SCP.fullmatch(home.address):
        root, path = f"https://{over_ssh['host']}", over_ssh["path"]
    else:
        parts = urlsplit(home.address)
        if parts.scheme not in {"http", "https", "ssh"} or not parts.hostname:
            hint = "add it again with --replace and --web-url"
            raise NoForgeError(f"the repository's address {home.address} does not name its forge; {hint}")
        # Over SSH the port is SSH's.
        root = f"https://{parts.hostname}" if parts.scheme == "ssh" else f"{parts.scheme}://{_host(parts.netloc)}"
        path = parts.path
    return root, path.strip("/").removesuffix(".git")


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def api_and_path(home: Home, version: str, public: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The API's address and the repository's path below its forge. Raises NoForgeError.

    ``version`` is the API's path on a self-hosted forge; ``public`` has the APIs of public forges on other hosts.
    """
    root, path = site(home)
    if not home.api_url:
        return (public or {}).get(root) or f"{root}{version}", path
    # A forge under a path of its host has this path in both addresses.
    below = urlsplit(home.api_url).path.removesuffix(version).strip("/")
    return home.api_url.rstrip("/"), path.removeprefix(f"{below}/") if below else path


def moved_path(path: str, asked: str, answered: str) -> str:
    """The repository's new path, where a request about it at ``path`` was redirected; empty where that does not tell.

    Some forges redirect to the number of the repository.
    """
    before_it, after_it = urlsplit(asked).path, urlsplit(answered).path
    for word in (path, quote(path, safe="")):
        before, found, after = before_it.partition(f"/{word}/")
        if found and after_it.startswith(f"{before}/") and after_it.endswith(f"/{after}"):
            new = unquote(after_it[len(before) + 1 : -len(after) - 1])
            return new if "/" in new and new != path else ""
    return ""


def commit_status_body(status: CommitStatus, description_chars_max: int) -> dict[str, str]:
    """The body of a commit status for GitHub; Gitea's is the same."""
    return {
        "state": _GITHUB_STATES[status.state],
        "context": status.context,
        "description": short(status.sentence, description_chars_max),
        "target_url": status.url,
    }


def short(text: str, chars_max: int) -> str:
    """The text in one line; what is longer is cut at a word, with an ellipsis."""
    line = visible_line(" ".join(text.split()))
    if len(line) <= chars_max:
        return line
    kept = line[:chars_max]  # one character more than fits beside the ellipsis: a word may end there
    return (kept.rpartition(" ")[0] or kept[:-1]).rstrip(" ,;:") + "…"


def accepted(answer: Answer, request: Request) -> bool:
    """True where the forge has the status now."""
    known = answer.status == 400 and bool(request.known_by) and request.known_by in answer.said  # noqa: PLR2004 - HTTP
    return answer.status // 100 == 2 or known  # noqa: PLR2004 - HTTP's successes


def is_retryable(answer: Answer) -> bool:
    """True where a retry may succeed: the forge has an error of its own, or its rate limit is reached."""
    return answer.status >= _SERVER_ERRORS or answer.status in _RETRYABLE or answer.pause_s > 0


def commit_may_appear(answer: Answer) -> bool:
    """True where the forge may not know the commit yet: some send the webhook first."""
    return answer.status in _COMMIT_UNKNOWN


def refusal(answer: Answer, repo: str, renew: str) -> str:
    """Why the forge refused a status, and what to do; ``renew`` is the command that sets another token."""
    said = f" {short(answer.said, _SAID_CHARS_MAX)}" if answer.said else ""
    sentence = f"the forge refused the commit status: {answer.status}{said}"
    if is_retryable(answer):
        return f"the forge did not take the commit status: {answer.status}{said}"
    match answer.status:
        case 401:
            return f"{sentence}; renew the token with {renew}"
        case 403 | 404:
            return f"{sentence}; the token may not write this repository's statuses: set another with {renew}"
        case status if status in _REDIRECTS:
            to = f" to {answer.location}, and a token is sent to no other host" if answer.location else ""
            return (
                f"{sentence}{to}; if the repository has moved, `headway repo url {repo} ADDRESS` changes its address, "
                f"and {renew} with --api that of the API"
            )
        case _:
            return f"{sentence}; if this is not the forge's API, set its address with {renew} and --api"
