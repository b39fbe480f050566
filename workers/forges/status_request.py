"""What the forges share in hearing how a run went: the status, the request that tells it, and what an answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipelines.state import State

_SCP = re.compile(r"[^/@:]+@(?P<host>[^/:]+):(?P<path>.+)")
_SAID_CHARS_MAX = 160
# Of the words of GitHub and Gitea none is "skipped": what did not run must not pass where it is required.
_FOUR_WORDS: Mapping[State, str] = {
    State.QUEUED: "pending",
    State.RUNNING: "pending",
    State.PASSED: "success",
    State.FAILED: "failure",
    State.BROKEN: "error",
    State.CANCELED: "error",
    State.SKIPPED: "error",
}
_REDIRECTS = range(300, 400)
_TOO_MANY, _SERVER_ERRORS = 429, 500
_SENT_TOO_LATE = frozenset({408, 425, _TOO_MANY})
_NOT_YET = frozenset({404, 409, 422})


@dataclass(frozen=True)
class CommitStatus:
    """What is told of a run, or of one of its workflows. ``branch`` is where the commit stands, if that is known."""

    sha: str
    state: State
    context: str
    sentence: str
    url: str
    branch: str = ""


@dataclass(frozen=True)
class Home:
    """Where a repository lives: its page or where it is cloned from, and its forge's API if a person named it."""

    address: str
    api_url: str = ""


@dataclass(frozen=True)
class Request:
    """A POST of JSON. An answer 400 that holds ``known_by`` says that the forge has this status already."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, str]
    known_by: str = ""


@dataclass(frozen=True)
class Answer:
    """What a forge answered: ``said`` is its reason; for ``pause_s`` seconds it asks to be left alone."""

    status: int
    said: str = ""
    pause_s: int = 0
    location: str = ""


class NoForgeError(ValueError):
    """Nothing can be told from here; the sentence says why and what to do."""


def site(home: Home) -> tuple[str, str]:
    """The forge's own address, such as ``https://git.example.com``, and the repository's path. Raises NoForgeError."""
    if over_ssh := _SCP.fullmatch(home.address):
        root, path = f"https://{over_ssh['host']}", over_ssh["path"]
    else:
        parts = urlsplit(home.address)
        if parts.scheme not in {"http", "https", "ssh"} or not parts.hostname:
            hint = "add it again with --replace and --web-url"
            raise NoForgeError(f"the repository's address {home.address} does not tell where its forge is; {hint}")
        # Over SSH the port is SSH's.
        root = f"https://{parts.hostname}" if parts.scheme == "ssh" else f"{parts.scheme}://{_host(parts.netloc)}"
        path = parts.path
    return root, path.strip("/").removesuffix(".git")


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def api_and_path(home: Home, version: str, public: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The API's address and the repository's path below its forge. Raises NoForgeError.

    ``version`` is where the API is on a forge of one's own; ``public`` has the APIs of forges that keep it elsewhere.
    """
    root, path = site(home)
    if not home.api_url:
        return (public or {}).get(root) or f"{root}{version}", path
    # A forge below a path of its host has that path in both addresses.
    below = urlsplit(home.api_url).path.removesuffix(version).strip("/")
    return home.api_url.rstrip("/"), path.removeprefix(f"{below}/") if below else path


def commit_status_body(status: CommitStatus, description_chars_max: int) -> dict[str, str]:
    """The body of GitHub's commit statuses, which Gitea took over."""
    return {
        "state": _FOUR_WORDS[status.state],
        "context": status.context,
        "description": short(status.sentence, description_chars_max),
        "target_url": status.url,
    }


def short(text: str, chars_max: int) -> str:
    """The text in one line; what is longer is cut at a word, with an ellipsis."""
    line = " ".join(text.split())
    if len(line) <= chars_max:
        return line
    kept = line[:chars_max]  # one more than fits beside the ellipsis: a word may end just there
    return (kept.rpartition(" ")[0] or kept[:-1]).rstrip(" ,;:") + "…"


def heard(answer: Answer, request: Request) -> bool:
    """Whether the forge has the status now."""
    known = answer.status == 400 and bool(request.known_by) and request.known_by in answer.said  # noqa: PLR2004 - HTTP
    return answer.status // 100 == 2 or known  # noqa: PLR2004 - HTTP's successes


def is_retryable(answer: Answer) -> bool:
    """Whether the same may be taken later: the forge is troubled, or was asked too much."""
    return answer.status >= _SERVER_ERRORS or answer.status in _SENT_TOO_LATE or answer.pause_s > 0


def commit_may_appear(answer: Answer) -> bool:
    """Whether a refusal may be for now only: a forge may learn of a commit later than its webhook tells of it."""
    return answer.status in _NOT_YET


def refusal(answer: Answer, repo: str) -> str:
    """Why the forge did not take a status, and what to do."""
    said = f" {short(answer.said, _SAID_CHARS_MAX)}" if answer.said else ""
    sentence = f"the forge refused the commit status: {answer.status}{said}"
    renew = f"`headway repo token {repo}`"
    if is_retryable(answer):
        return f"the forge did not take the commit status: {answer.status}{said}"
    match answer.status:
        case 401:
            return f"{sentence}; renew the token with {renew}"
        case 403 | 404:
            return f"{sentence}; the token may not write this repository's statuses: give another with {renew}"
        case status if status in _REDIRECTS:
            to = f" to {answer.location}" if answer.location else ""
            return f"{sentence}{to}; name the API's own address with {renew} and --api"
        case _:
            return f"{sentence}; if this is not the forge's API, name it with {renew} and --api"
