"""The server of a repository, asked through git: who is logged in, where it has moved, and what its refusals mean."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GitError, GitLogin, origin, run_git
from runner.source.git.git_failures import Access, Failure, explain
from runner.source.git.git_words import without_login
from runner.source.git.http_trace import HttpAnswer, http_trace
from runner.source.git.limited_git import GitLimits
from runner.source.git.reach import OPEN, Reach
from runner.source.git.urls import check_url

REDIRECTS_MAX = 20
"""So many redirects are followed, those of all submodules of a repository together."""
_ENDS = ("/info/refs", "/git-upload-pack")
_PLAIN = re.compile(r"[A-Za-z0-9._~:/%+,@\[\]-]+")
_REFUSED_AT = re.compile(r"^(?:fatal|error): unable to access '(https?://[^'\s]+?)/?'", re.MULTILINE)
_CLONED = re.compile(r"clone of '([^']+)' into submodule")
_STATUSES = frozenset({301, 302, 303, 307, 308})


class TransientGitError(GitError):
    """The network or the server has trouble that may be over in a moment. ``pause_s`` is the pause that it asks for."""

    def __init__(self, words: str, failure: Failure) -> None:
        super().__init__(words, failure.reason, failure.sentence)
        self.pause_s = failure.pause_s
        self.explained = failure.explained

    def masked(self, mask: Callable[[str], str]) -> "TransientGitError":
        """The same error with its texts masked."""
        failure = Failure(mask(str(self)), transient=True, pause_s=self.pause_s, reason=self.reason)
        return TransientGitError(mask(self.detail), failure)


class PermanentGitError(GitError):
    """A no that stays one. ``explained``: the server is the cause, not the mirror on this machine."""

    def __init__(self, words: str, failure: Failure) -> None:
        super().__init__(words, failure.reason, failure.sentence)
        self.explained = failure.explained


@dataclass
class RepoServer:
    """Runs git commands that ask the server of the repository ``url``, which has no login in it.

    ``name`` is the repository's name on Headway, for commands in messages. ``egress`` are variables for proxies and CA
    certificates. ``withheld``: there is a login, but this run must not use it. ``moved`` maps addresses to those to
    which the server redirects them. ``foreign`` is set where a pipeline file has chosen the server. ``reach`` says
    where a redirect may lead, and which other servers may be asked; ``below``, whose submodules are fetched.
    """

    url: str
    login: GitLogin | None
    egress: Mapping[str, str]
    name: str = "NAME"
    withheld: bool = False
    moved: dict[str, str] = field(default_factory=dict)
    was_asked: bool = False
    limits: GitLimits | None = None
    foreign: ForeignServer | None = None
    reach: Reach = OPEN
    below: str = ""

    def run(self, command: Sequence[str], *, local: bool = False) -> bytes:
        """Git's output. Follows redirects; a login goes to its own scheme, host and port alone.

        Raises TransientGitError, and PermanentGitError.
        """
        for _ in range(REDIRECTS_MAX + 1):
            with http_trace() as trace:
                try:
                    output = run_git(
                        command,
                        local=local,
                        login=self.login,
                        url=self.url,
                        egress={**self.egress, **trace.variables},
                        # Git replaces the beginning of each address that it asks.
                        settings=[(f"url.{new}.insteadOf", old) for old, new in dict(self.moved).items()],
                        limits=self.foreign.limits if self.foreign else self.limits,
                    )
                except GitError as error:
                    if not self._learn(error, trace.answers()):
                        raise self._explained(error, trace.answers()) from error
                    continue
            self.was_asked = True
            return output
        raise GitError(f"more than {REDIRECTS_MAX} redirects: {self.moved}")

    @property
    def moved_to(self) -> str:
        """Where the server says that the repository is now; empty where it has not moved.

        Some forges redirect to the same address with ``.git``: that is no move.
        """
        new = self.moved.get(self.url.rstrip("/"), "")
        return "" if new.removesuffix(".git") == self.url.rstrip("/").removesuffix(".git") else new

    def gets_login(self, url: str) -> bool:
        """Whether the login is sent to this address."""
        return self.login is not None and origin(url) == origin(self.url)

    def _learn(self, error: GitError, answers: Sequence[HttpAnswer]) -> bool:
        """Notes the redirect that made git fail. False if there was none, or none that is followed."""
        cloned = [url for url in _CLONED.findall(error.detail) if url not in self.moved]
        if begins_alike := [url for url in cloned if self._is_replaced(url)]:
            self.moved |= {url: url for url in begins_alike}
            return True
        asked = next(reversed(_REFUSED_AT.findall(error.detail)), "")
        last = answers[-1] if answers else None
        if not asked or last is None or last.status not in _STATUSES:
            return False
        new = redirected(asked, last.headers.get("location", ""))
        if not new or new == asked or not self.reach.follows(asked, new):
            return False
        self.moved |= {old: new for old, so_far in dict(self.moved).items() if so_far == asked}
        self.moved[asked] = new
        return True

    def _is_replaced(self, url: str) -> bool:
        """Whether git asks another address in place of this one, whose beginning is that of one which has moved."""
        return any(url.startswith(old) for old in self.moved)

    def _explained(self, error: GitError, answers: Sequence[HttpAnswer]) -> GitError:
        if error.reason is Reason.DISK_FULL:
            return error
        username = self.login.username if self.login else ""
        access = Access(self.url, self.moved_to, self.name, username, self.gets_login, self.withheld)
        words = error.detail
        if self.below:
            words = words.replace("submodule path '", f"submodule path '{self.below}/")
        failure = explain(words, answers, access)
        return (TransientGitError if failure.transient else PermanentGitError)(words, failure)


def redirected(asked: str, location: str) -> str:
    """The address of the repository to which ``location`` leads; empty where Headway does not follow.

    It does not follow to a page that is no repository's, nor from https:// to http://.
    """
    try:
        target = urlsplit(without_login(urljoin(f"{asked}{_ENDS[0]}", location)))
    except ValueError:
        return ""
    end = next((end for end in _ENDS if target.path.endswith(end)), "")
    if not end or (asked.startswith("https:") and target.scheme != "https"):
        return ""
    new = target._replace(path=target.path.removesuffix(end).rstrip("/"), query="", fragment="").geturl()
    try:
        # It is shown to people as part of a command.
        return check_url(new) if target.scheme in {"http", "https"} and _PLAIN.fullmatch(new) else ""
    except StepError:
        return ""
