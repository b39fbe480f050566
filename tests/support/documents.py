"""The repository's documents, taken apart: headings, links, blocks of code and command lines."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import DOCS, ROOT

DECISIONS = sorted(DOCS.glob("decisions/*.md"))
"""History: what they name may have changed since."""
MANUAL = sorted(set(DOCS.glob("**/*.md")) - set(DECISIONS))
"""The pages for users and developers."""
PAGES = sorted({*ROOT.glob("*.md"), *MANUAL, *ROOT.glob("examples/**/*.md"), *ROOT.glob("bench/*.md")})

_FENCE = re.compile(r"^(?P<indent> *)```(?P<label>[^`\n]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_SEPARATORS = frozenset({"&&", "||", "|", ";"})
_IN_COMPOSE = ["docker", "compose", "exec", "web"]


@dataclass(frozen=True)
class Block:
    """A fenced block. ``label`` is what its fence says: ``yaml``, ``yaml error``, or nothing."""

    page: Path
    label: str
    text: str


@dataclass(frozen=True)
class CommandLine:
    """The words after ``headway``. Of one in running text, ``whole`` is false: arguments may be left out."""

    page: Path
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{name_of(self.page)}: headway {' '.join(self.words)}"


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    return [Block(page, match["label"], match["text"]) for match in _FENCE.finditer(text_of(page))]


def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", text_of(page))


def links_of(page: Path) -> list[str]:
    """The targets of relative links and images."""
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose_of(page))


def headings_of(page: Path, level: int) -> list[str]:
    return re.findall(rf"^#{{{level}}} (.+)$", prose_of(page), re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The anchors of the page's headings, as forges make them."""
    seen: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        words = re.sub(r"\]\([^)]*\)", "", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def command_lines_of(page: Path) -> Iterator[CommandLine]:
    """All calls of ``headway`` in blocks of commands, and in running text between backticks."""
    for block in blocks_of(page):
        if block.label in {"", "sh", "ini"}:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from (CommandLine(page, words, whole=True) for words in _calls(line.removeprefix("ExecStart=")))
    for code in re.findall(r"`([^`]+)`", prose_of(page)):
        yield from (CommandLine(page, words, whole=False) for words in _calls(code))


def _calls(line: str) -> Iterator[tuple[str, ...]]:
    if "headway" not in line:
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    command: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _SEPARATORS:
            command.append(word)
            continue
        if (call := _call(command)) is not None:
            yield call
        command = []


def _call(command: list[str]) -> tuple[str, ...] | None:
    """The words after ``headway`` where the command is a call of it."""
    redirection = next((at for at, word in enumerate(command) if word in {"<", ">"}), len(command))
    words = [word for word in command[:redirection] if word != "-T"]
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    if words[:4] == _IN_COMPOSE:
        words = words[4:]
    if not words or Path(words[0]).name != "headway" or len(words) == 1:
        return None
    return tuple(words[1:])
