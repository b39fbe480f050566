"""What a registry answered, by an error message of the engine or of BuildKit, and whether a retry may help.

Both image stores, BuildKit and older clients say it in other words. They do not pass on the header ``Retry-After``.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from pipelines.state import Reason
from runner.docker.references import registry_host
from runner.errors import MachineError


@dataclass(frozen=True)
class RegistryAnswer:
    """Who answered, and what, as in "the registry r.example" "answered 503 Service Unavailable".

    ``hint`` is what to do if it lasts. ``limited``: a rate limit is reached. ``pause_s``: what the registry asks for.
    """

    who: str
    said: str
    hint: str
    limited: bool = False
    pause_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.who} {self.said}"


class TransientRegistryError(MachineError):
    """A registry cannot serve at the moment: a retry may help. ``what`` is the sentence without its hint."""

    def __init__(self, prefix: str, answer: RegistryAnswer) -> None:
        self.answer = answer
        self.what = f"{prefix}{answer}"
        super().__init__(Reason.REGISTRY_UNREACHABLE, f"{self.what}; {answer.hint}")


_STATUS = re.compile(
    r"(?:(?:unexpected|http|failed with) (?:http )?(?:status|response)\b[^\n]*?: |error parsing http )"
    r"(?P<code>408|425|429|500|502|503|504|52\d)\b",
    re.IGNORECASE,
)
"""Not 501, 505 and 507: the next answer would be the same."""
_OF_A_PROXY = re.compile(r'": (?:Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time)')
"""What Go's HTTP client says if a proxy answers CONNECT with such a status."""
_CODE = re.compile(r"(?:^|[\s:])unavailable: ", re.IGNORECASE)
"""The error code of the registry's API for status 503."""
_LIMIT = re.compile(r"(?:^|[\s:(])toomanyrequests(?:: |$)|too many requests|\brate limit|rate exceeded", re.IGNORECASE)
_SERVER_MESSAGE = re.compile(r"(?:toomanyrequests|server message): (?P<message>[^\n]+)", re.IGNORECASE)
_ASKED_PAUSE = re.compile(r"retry-after: (?P<pause>(?:[0-9.]{1,9}(?:h|ms|µs|us|ns|m|s))+)", re.IGNORECASE)
_PART = re.compile(r"([0-9.]+)(h|ms|µs|us|ns|m|s)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
_CONNECTION = (
    (r"connection refused", "accepts no connection"),
    (
        r"lookup [^\n]*(?:i/o timeout|timed out|try again)|server misbehaving|temporary failure in name resolution",
        "cannot be found: its name cannot be looked up for the moment",
    ),
    (r"no route to host|(?:network|host) is (?:unreachable|down)", "cannot be reached: no network leads there"),
    (
        r"i/o timeout|tls handshake timeout|client\.timeout|timeout (?:exceeded|awaiting)|deadline exceeded|timed out",
        "did not answer in time",
    ),
    (
        (
            r"connection reset|broken pipe|use of closed network connection|closed idle connection|server sent goaway"
            r"|stream error: stream id|connection (?:was )?(?:aborted|closed|lost)|transport connection broken"
            r"|forcibly closed|unexpected eof|(?:^|[\s:])eof(?:$|[\n;,)])"
        ),
        "ended the connection",
    ),
)
_CONNECTIONS = tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), said) for pattern, said in _CONNECTION)
_NOT_OF_A_REGISTRY = re.compile(r"failed to register layer|no space left on device", re.IGNORECASE)
_URL = re.compile(r"https?://([^/\s\"?]+)")
_DIALLED = re.compile(r"(?:dial tcp:? (?:lookup )?|pulling from host )([^\s,]+)")
_OF_A_BUILD = re.compile(
    r"failed to (?:resolve source metadata|resolve image|authorize|copy|do request|read expected number of bytes)"
    r"|fetch [a-z]+ token|httpReadSeeker|pulling from host|error writing \w+ blob|failed commit on ref"
    r"|registry cache (?:im|ex)porter|/v2/"
)
_SOURCE = re.compile(r"failed to resolve source metadata for (\S+): ")
_DOCKER_HUB_HOSTS = frozenset({"registry-1.docker.io", "index.docker.io"})
_RE_RUN = "look at the registry, and re-run when it is well"
_SERVER_MESSAGE_CHARS_MAX = 300


def transient_answer(text: str, host: str, *, with_login: bool | None) -> RegistryAnswer | None:
    """The answer in an error message about the registry ``host``, if a retry may help; None for a clear no.

    ``with_login`` says whether it was asked with a login, None if that is not known.
    """
    if _NOT_OF_A_REGISTRY.search(text):
        return None
    who = _who(text, host)
    if said := _status(text):
        limited = said.startswith("answered 429")
        hint = _limit_hint(host, with_login=with_login) if limited else _RE_RUN
        return RegistryAnswer(who, f"{said}{_message(text)}", hint, limited, _asked_pause_s(text))
    if said := next((said for pattern, said in _CONNECTIONS if pattern.search(text)), ""):
        hint = "check its address, and whether the engine's machine reaches it, and re-run"
        return RegistryAnswer(who, said, hint)
    return None


def transient_answer_of_build(text: str) -> RegistryAnswer | None:
    """The same for an error message of BuildKit, which asks registries of its own accord."""
    if not _OF_A_BUILD.search(text):
        return None
    source, urls = _SOURCE.search(text), _URL.findall(text) or _DIALLED.findall(text)
    host = registry_host(source[1]) if source else (_host_name(urls[-1]) if urls else "")
    return transient_answer(text, host, with_login=None)


def _status(text: str) -> str:
    if found := _STATUS.search(text):
        code = int(found["code"])
        known = code in HTTPStatus._value2member_map_
        return f"answered {code}{f' {HTTPStatus(code).phrase}' if known else ''}"
    if _LIMIT.search(text):
        return f"answered 429 {HTTPStatus.TOO_MANY_REQUESTS.phrase}"
    if found := _OF_A_PROXY.search(text):
        return f"cannot be reached: the engine's proxy answered{found[0][2:].removesuffix(' Time')}"
    return f"answered 503 {HTTPStatus.SERVICE_UNAVAILABLE.phrase}" if _CODE.search(text) else ""


def _message(text: str) -> str:
    found = _SERVER_MESSAGE.search(text)
    message = found["message"].strip().removeprefix("toomanyrequests: ")[:_SERVER_MESSAGE_CHARS_MAX] if found else ""
    return f" ({message.rstrip('.')})" if message else ""


def _who(text: str, host: str) -> str:
    """The registry; or the server that answered for it, such as the one that gives out its tokens."""
    registry = f"the registry {host}" if host else "a registry"
    urls = _URL.findall(text)
    asked = _host_name(urls[-1]) if urls else host
    if asked == host or not host:
        return registry
    # A login of another host: Docker Hub has auth.docker.io.
    role = "which gives out the logins of" if "token" in text else "which serves"
    return f"{asked}, {role} {registry},"


def _host_name(host: str) -> str:
    return "docker.io" if host in _DOCKER_HUB_HOSTS else host


def _limit_hint(host: str, *, with_login: bool | None) -> str:
    log_in = f"log in: headway registry login {host or 'HOST'}"
    what = {True: "raise the limit of the account", False: log_in, None: f"{log_in}, or raise the account's limit"}[
        with_login
    ]
    mirror = ", or use a registry mirror (registry-mirrors in the engine's daemon.json)" if host == "docker.io" else ""
    return f"the rate limit is reached, which may last for hours; {what}{mirror}, and re-run later"


def _asked_pause_s(text: str) -> float:
    """The pause in the message of registries that write it there, as a duration of Go."""
    found = _ASKED_PAUSE.search(text)
    try:
        return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(found["pause"])) if found else 0.0
    except ValueError:
        return 0.0
