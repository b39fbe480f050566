"""Which files a Dockerfile has the engine download: the sources of ADD that are no files of the build context.

The engine downloads them itself, in its host's network, where the firewall's rules for builds do not count. So nothing
may be overlooked here, while a false find does little harm: every line counts as the start of an instruction, with
either escape character, also inside a document.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipelines.state import Reason
from runner.errors import StepError

ADDS_COUNT_MAX = 100
_JOINED_CHARS_MAX = 5_000_000
_ESCAPES = ("\\", "`")
_KEYWORD_CHARS = 8
"""As many of an instruction as tell whether it is ADD or ONBUILD."""
_KEYWORD = re.compile(r"(?:add|onbuild)\s", re.IGNORECASE)
_ADD = re.compile(r"(?:onbuild\s+)*add\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_VARIABLES = re.compile(
    r"^[^\S\n]*(?:onbuild\s+)?(?:arg|env)\s(?P<rest>(?:[^\n\\]|\\\n?)*)", re.IGNORECASE | re.MULTILINE
)
_QUOTES = str.maketrans("", "", "\"'\\`")
_CHECKSUM = re.compile(r"--checksum=(?:sha256:[0-9a-f]{64}|[0-9a-f]{40})")
_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*://|github\.com/|[^/\s]+@[^/\s]+:)", re.IGNORECASE)
_SCHEMES = ("http://", "https://", "git://", "ssh://", "github.com/")


@dataclass(frozen=True)
class RemoteFile:
    """A source of ADD. ``host`` is empty where a variable decides what it is.

    With ``has_checksum`` the Dockerfile says what its content is: a build cannot learn anything from it.
    """

    source: str
    host: str
    has_checksum: bool


def remote_files(text: str) -> tuple[RemoteFile, ...]:
    """The files that the engine would download. Raises StepError for a Dockerfile that is made to be hard to read."""
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


def values_of_variables(text: str, args: Mapping[str, str]) -> tuple[str, ...]:
    """What the Dockerfile's variables may hold: the rest of each ARG and ENV, and the build arguments."""
    return (*(match["rest"] for match in _VARIABLES.finditer(text)), *args.values())


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
    has_checksum = is_plain and any(_CHECKSUM.fullmatch(flag) for flag in flags)
    for word in (*words, *_json_words(rest)):
        source = word.translate(_QUOTES)
        if _REMOTE.match(source) or ("$" in source and _may_become_remote(source.partition("$")[0].lower())):
            yield RemoteFile(source, _host(source), has_checksum)


def _json_words(rest: str) -> list[str]:
    try:
        words = json.loads(rest[rest.index("[") :])
    except ValueError:
        return []
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


def _may_become_remote(beginning: str) -> bool:
    return any(scheme.startswith(beginning) or beginning.startswith(scheme) for scheme in _SCHEMES)


def _host(source: str) -> str:
    """The host of a URL, or of git's short form ``user@host:path``.

    Empty if it cannot be read, or if a variable stands before the path: it could hold another host.
    """
    if "://" not in source:
        source = f"ssh://{source.partition(':')[0]}" if "@" in source else f"https://{source}"
    try:
        parts = urlsplit(source)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return "" if "$" in parts.netloc else host
