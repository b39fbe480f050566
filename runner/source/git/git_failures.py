"""What git's failures mean: for each that people meet a sentence that says what is wrong and what mends it.

A failure is either a no, which stays one, or trouble of the network or of the server, which may be over in a moment.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pipelines.state import Reason
from runner.network.retry_after import asked_pause_s
from runner.source.git.failure_table import PERMANENT, TRANSIENT, Rule
from runner.source.git.git_words import last_word
from runner.source.git.http_trace import HttpAnswer

_URL_IN_WORDS = re.compile(r"'((?:https?|ssh)://[^'\s]+?)/?'")
_SUBMODULE = re.compile(r"submodule path '([^']*)'")
_LFS_FILE = re.compile(r"Object does not exist|^LFS: .*object not found", re.MULTILINE)
_AFTER_ANSWER = re.compile(r"EOF|connection refused|timeout|reset by peer|no such host")
_LFS = re.compile(r"[Ff]ailed to fetch some objects from")
_STATUS = re.compile(
    r"returned error: (\d{3})|\bHTTP (\d{3})\b|tunnel failed, response (\d{3})|code (\d{3}) from proxy"
)
_OF_PROXY = re.compile(r"tunnel failed, response|from proxy after CONNECT|returned error: 407")
_NO_LOGIN = re.compile(r"could not read (?:Username|Password) for|Authentication failed for")
_NOT_FOUND = re.compile(r"^fatal: repository '[^']*' not found", re.MULTILINE)
_UNKNOWN_HOST = re.compile(r"Could not resolve (?:host|proxy): ([^\s;]+)|lookup (\S+?)(?: on \S+)?: no such host")
_WAIT_STATUSES = frozenset({408, 425, 429})
_SERVER_ERRORS = 500
_UNAUTHORIZED, _FORBIDDEN, _PROXY_LOGIN, _GONE = 401, 403, 407, frozenset({404, 410})
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class Access:
    """What git was asked to fetch, and from where: ``moved_to`` is empty where the server redirects to no other place.

    ``name`` is the repository's on Headway, ``login`` who git logs in as, if at all, and ``gets_login`` tells where.
    ``withheld``: there is a login, but this run must not use it.
    """

    url: str
    moved_to: str
    name: str
    login: str
    gets_login: Callable[[str], bool]
    withheld: bool = False


@dataclass(frozen=True)
class Failure:
    """What a failure means. ``transient``: the same may succeed later, not before ``pause_s`` seconds.

    ``explained``: the server or the network is the cause, not the mirror on this machine.
    """

    sentence: str
    transient: bool = False
    pause_s: int = 0
    reason: Reason = Reason.CLONE_FAILED
    explained: bool = True


def is_temporary(host: str) -> bool:
    """Whether the name of a host cannot be looked up for the moment. False if there is no such host."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN
    except (OSError, UnicodeError):
        return False
    return True


def explain(
    words: str, answers: Sequence[HttpAnswer], access: Access, temporary: Callable[[str], bool] = is_temporary
) -> Failure:
    """What git's ``words`` mean, after the server's ``answers`` over HTTP."""
    subject = _Subject(words, access)
    if status := _status(words) or (_lfs_status(words, answers) if subject.lfs else 0):
        return _of_status(status, answers, subject)
    if unknown := _UNKNOWN_HOST.search(words):
        host = (unknown[1] or unknown[2]).rstrip(".")
        proxy = "the proxy " if "resolve proxy" in words else ""
        if temporary(host):
            return Failure(f"{subject}: the name of {proxy}{host} cannot be looked up for the moment", transient=True)
        return Failure(f"{subject}: there is no host {host}; {_where(proxy, subject)}")
    for rule in (*PERMANENT, *TRANSIENT):
        if found := rule.pattern.search(words):
            return _of_rule(rule, found, subject)
    return Failure(f"{subject}: {last_word(words) or 'git gave no reason'}", explained=False)


def _where(proxy: str, subject: "_Subject") -> str:
    return "correct HTTPS_PROXY and HTTP_PROXY" if proxy else subject.correct_address


def _of_rule(rule: Rule, found: re.Match[str], subject: "_Subject") -> Failure:
    port = urlsplit(subject.url).port if "://" in subject.url else None
    known = {"address": subject.correct_address, "name": subject.access.name, "host": _host(subject.url)}
    known["port"] = f"-p {port} " if port else ""
    groups = {key: value or "" for key, value in found.groupdict().items()}
    said = rule.sentence.format(**known | groups)
    return Failure(f"{subject}: {said}", transient=rule.transient, reason=rule.reason, explained=rule.explained)


def _status(words: str) -> int:
    """The status with which the server, or a proxy, refused; 0 where there is none."""
    found = [int(number) for match in _STATUS.finditer(words) for number in match.groups() if number]
    if refused := [status for status in found if status >= _REDIRECTS.start]:
        return refused[-1]
    if _NO_LOGIN.search(words):
        return _UNAUTHORIZED
    return 404 if _NOT_FOUND.search(words) else 0


def _lfs_status(words: str, answers: Sequence[HttpAnswer]) -> int:
    """The status with which the LFS server refused; 0 where it only does not have a file, and where it ended later."""
    last = answers[-1].status if answers else 0
    return 0 if last < _REDIRECTS.start or _LFS_FILE.search(words) or _AFTER_ANSWER.search(words) else last


def _of_status(status: int, answers: Sequence[HttpAnswer], subject: "_Subject") -> Failure:
    headers = next((answer.headers for answer in reversed(answers) if answer.status == status), {})
    pause_s = asked_pause_s(status, headers, datetime.now(UTC))
    limited = status == _FORBIDDEN and pause_s > 0
    if status >= _SERVER_ERRORS or status in _WAIT_STATUSES or limited:
        who = "the proxy" if subject.of_proxy else _host(subject.url)
        busy = "asks to wait (its rate limit is reached)" if status == 429 or limited else "has a fault of its own"  # noqa: PLR2004 - HTTP
        return Failure(f"{subject}: {who} {busy}: status {status}", transient=True, pause_s=pause_s)
    return Failure(f"{subject}: {_no(status, headers.get('location', ''), subject)}")


def _no(status: int, location: str, subject: "_Subject") -> str:
    login = subject.login
    if subject.lfs and status in _GONE:
        return "there is no LFS server for it: switch LFS on at the forge, or set lfs.url in .lfsconfig"
    if status == _PROXY_LOGIN:
        return "the proxy requires a login: add it to HTTPS_PROXY and HTTP_PROXY (http://user:password@host:port)"
    if status == _UNAUTHORIZED:
        wrong = f"the forge does not accept the login of {login!r}: it is wrong or has expired"
        return f"{wrong if login else 'it needs a login, or does not exist'}; {subject.set_login}"
    if status == _FORBIDDEN:
        who = f"the account {login!r}" if login else "anyone without a login"
        return (
            f"the forge does not let {who} read it (status 403); give the account the right to, or: {subject.set_login}"
        )
    if status in _GONE:
        hidden = f"or the account {login!r} may not see it" if login else "or it is private and needs a login"
        mend = f"{subject.correct_address}, {subject.set_login}" if login else subject.set_login
        return f"there is no such repository: it was removed or renamed, {hidden}; {mend}"
    if status in _REDIRECTS:
        return f"the server sends to another place ({location or 'it does not say where'}); {subject.correct_address}"
    return f"the server refuses: status {status}; {subject.correct_address}"


def _host(url: str) -> str:
    # git@host:path, as scp writes it
    return urlsplit(url).hostname or url.partition("@")[2].partition(":")[0] or url


class _Subject:
    """What could not be fetched, as the beginning of a sentence: the repository, a submodule of it, or LFS files."""

    def __init__(self, words: str, access: Access) -> None:
        paths = _SUBMODULE.findall(words)
        self.access = access
        self.submodule = paths[0] if paths else ""
        self.lfs = bool(_LFS.search(words))
        self.url = (_asked_url(words) if paths else "") or access.moved_to or access.url
        self.of_proxy = bool(_OF_PROXY.search(words))
        self.login = access.login if access.gets_login(self.url) else ""

    def __str__(self) -> str:
        if self.submodule:
            return f"cannot fetch the submodule {self.submodule} from {self.url}"
        moved = f", which has moved to {self.access.moved_to}" if self.access.moved_to else ""
        return f"cannot fetch {'LFS files ' if self.lfs else ''}from {self.access.url}{moved}"

    @property
    def set_login(self) -> str:
        """What gives this fetch a login."""
        of_repo = f"`headway repo login {self.access.name} --username ACCOUNT`"
        if self.login:
            return f"{of_repo} sets another"
        if self.access.withheld:
            return "an untrusted run fetches submodules and LFS files without the repository's login"
        if self.submodule:
            return "a submodule gets the login of its repository on the same host alone, in runs that are trusted"
        if self.access.moved_to and self.access.login:
            return f"its login is for the old address: {self.correct_address}, then {of_repo} sets its login"
        return f"{of_repo} sets its login, {self.correct_address}"

    @property
    def correct_address(self) -> str:
        """What corrects the address."""
        if self.submodule:
            return "correct its address in .gitmodules"
        new = self.access.moved_to or "ADDRESS"
        return f"`headway repo url {self.access.name} {new}` changes its address"


def _asked_url(words: str) -> str:
    """The last address in the words that could not be reached, without a slash at its end."""
    return next(reversed(_URL_IN_WORDS.findall(words)), "")
