"""Which sources of ADD the engine downloads, and from which hosts: all that are not surely files of the build context.

The engine downloads them itself, in its host's network, where the firewall's rules for builds do not count. So nothing
may be overlooked here, while a false find does little harm. The rules are those of all versions of BuildKit since 0.8
(``util/gitutil``, ``util/sshutil``): BuildKit 0.13, which is in Docker 26, takes ``HOST/x.git`` for a git repository.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from pipelines.state import Reason
from runner.errors import StepError

ADDS_COUNT_MAX = 100
_JOINED_CHARS_MAX = 5_000_000
_ESCAPES = ("\\", "`")
_KEYWORD_CHARS = 8
"""As many of an instruction as tell whether it is ADD or ONBUILD."""
_KEYWORD = re.compile(r"(?:add|onbuild)\s", re.IGNORECASE)
_ADD = re.compile(r"(?:onbuild\s+)*add\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_QUOTES = str.maketrans("", "", "\"'\\`")
_CHECKSUM = re.compile(r"--checksum=sha256:[0-9a-f]{64}")
_HERE = ("./", "../")
_SSH = re.compile(r"[A-Za-z0-9_-]+@(?P<host>[A-Za-z0-9.-]+):")
"""Git's short form, as all versions know it."""
_AUTHORITY = re.compile(r"(?:[^@/?#\\\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")
_HALF_A_SCHEME = re.compile(r"[A-Za-z0-9+.-]*:/")
_GIT = re.compile(r"\.git(?:#.+)?\Z", re.DOTALL)
"""What BuildKit 0.12 takes for a git repository."""


@dataclass(frozen=True)
class RemoteFile:
    """A source of ADD. ``host`` is empty where it cannot be told.

    With ``has_checksum`` the Dockerfile says what its content is: a build cannot learn anything from it. Many versions
    of BuildKit do not compare the checksum of a git repository, so it has none.
    """

    source: str
    host: str
    has_checksum: bool = False


def remote_files(text: str) -> tuple[RemoteFile, ...]:
    """The files that the engine would download, of all sources without variables.

    Every line counts as the start of an instruction, with either escape character, also inside a document. Raises
    StepError for a Dockerfile that is made to be hard to read.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    budget = _Budget()
    found: dict[RemoteFile, None] = {}
    for escape in _ESCAPES:
        for start, line in enumerate(lines):
            if line.lstrip()[:1].lower() not in {"a", "o"} or not _KEYWORD.match(
                _joined(lines, start, escape, budget, _KEYWORD_CHARS) + " "
            ):
                continue
            budget.count_add()
            if match := _ADD.match(_joined(lines, start, escape, budget)):
                found |= dict.fromkeys(_sources(match["rest"]))
    return tuple(found)


def remote_file(source: str, *, known: bool = True, has_checksum: bool = False) -> RemoteFile | None:
    """What the engine would download for a source of ADD; None if it is a file of the build context.

    Where the source is not ``known`` to its end, anything may follow.
    """
    if source.startswith(_HERE):
        return None
    has_checksum = has_checksum and known and source.startswith(("http://", "https://")) and not _may_be_git(source)
    if "://" in source:
        return RemoteFile(source, _host(source.partition("://")[2], known=known), has_checksum)
    if match := _SSH.match(source):
        return RemoteFile(source, match["host"].lower())
    # A path that begins with slashes is the host too: git's client skips them.
    if not known or source.startswith("github.com/") or ("/" in source and _ends_in_git(source)):
        return RemoteFile(source, _host(source.lstrip("/"), known=known))
    return None


def checksum_counts(flag: str) -> bool:
    """True for a flag of ADD with a checksum that BuildKit compares."""
    return _CHECKSUM.fullmatch(flag) is not None


def _may_be_git(source: str) -> bool:
    return _ends_in_git(source) or _GIT.search(source) is not None


def _ends_in_git(source: str) -> bool:
    return unquote(source.partition("#")[0].partition("?")[0]).endswith(".git")


def _host(rest: str, *, known: bool) -> str:
    """The host that a URL names, of which ``rest`` is what follows the scheme. Empty if it cannot be read surely.

    Programs that read URLs differ in what they make of two ``@``, of escapes and of empty hosts.
    """
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if not known and (authority == rest or _HALF_A_SCHEME.fullmatch(rest)):
        return ""
    match = _AUTHORITY.fullmatch(authority)
    return match["host"].strip("[]").lower() if match else ""


class _Budget:
    """Bounds the work for lines that continue each other."""

    def __init__(self) -> None:
        self._chars = _JOINED_CHARS_MAX
        self._adds = ADDS_COUNT_MAX * len(_ESCAPES)

    def spend(self, chars: int) -> None:
        self._chars -= chars
        self._check(self._chars)

    def count_add(self) -> None:
        self._adds -= 1
        self._check(self._adds)

    def _check(self, left: int) -> None:
        if left < 0:
            raise StepError(
                Reason.INVALID_PIPELINE,
                f"the Dockerfile has more than {ADDS_COUNT_MAX} ADD instructions, or too many lines that are continued "
                f"by others; use COPY, or make it shorter",
            )


def _joined(lines: list[str], start: int, escape: str, budget: _Budget, chars_max: int | None = None) -> str:
    """The instruction that starts at a line, without space at its front; with ``chars_max`` only its beginning."""
    parts: list[str] = []
    chars = 0
    for number in range(start, len(lines)):
        bare = lines[number].rstrip()
        budget.spend(len(lines[number]) + 1)
        if number > start and (not bare or bare.lstrip().startswith("#")):
            continue
        part = bare.removesuffix(escape)
        parts.append(part if chars else part.lstrip())
        chars += len(parts[-1])
        if not bare.endswith(escape) or (chars_max is not None and chars >= chars_max):
            break
    return "".join(parts)[:chars_max]


def _sources(rest: str) -> Iterator[RemoteFile]:
    words = rest.split()
    flags: list[str] = []
    while words and words[0].startswith("--") and words[0] != "--":
        flags.append(words.pop(0))
    # A quoted space would make one flag look like two.
    is_plain = not any(flag != flag.translate(_QUOTES) for flag in flags)
    has_checksum = is_plain and any(map(checksum_counts, flags))
    listed = _json_words(rest)
    if listed and words[0].startswith("["):
        words = []
    # The last word is where the files go, unless what a variable held there was empty.
    for word, is_last in (*_marked(words), *_marked(listed)):
        source = word.translate(_QUOTES)
        file = remote_file(source, has_checksum=has_checksum) if "$" not in source else None
        if file and not (is_last and "://" not in source and "@" not in source):
            yield file


def _marked(words: list[str]) -> Iterator[tuple[str, bool]]:
    return ((word, number == len(words)) for number, word in enumerate(words, 1))


def _json_words(rest: str) -> list[str]:
    try:
        words = json.loads(rest[rest.index("[") :])
    except (ValueError, RecursionError):
        return []
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
