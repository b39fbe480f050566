"""Excerpts for problems: the line of the file with carets under the word, the same wherever problems are shown."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from pipelines.problem import Problem

EXCERPT_CHARACTERS_MAX = 120

_WORD = re.compile(r"\$\{[^}\s]*\}?|[^\s:,\[\]{}'\"]+|.")


def lines_of(text: bytes) -> list[str]:
    """The lines of a file, numbered as in problems."""
    return text.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")


def with_excerpts(problems: Sequence[Problem], texts: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """The problems with their excerpts. ``texts`` are the files by their names."""
    lines = {file: lines_of(text) for file, text in texts.items()}
    return tuple(problem._replace(excerpt=excerpt(problem, lines.get(problem.file, []))) for problem in problems)


def excerpt(problem: Problem, lines: Sequence[str]) -> tuple[str, ...]:
    """Two lines: the source with its line number, and carets. Empty if the problem has no line."""
    if not 0 < problem.line <= len(lines):
        return ()
    source = lines[problem.line - 1].rstrip("\r")
    start = min(problem.column - 1, len(source))
    end = end_of_word(source, start)
    first = max(0, min(start - EXCERPT_CHARACTERS_MAX // 3, len(source) - EXCERPT_CHARACTERS_MAX))
    last = first + EXCERPT_CHARACTERS_MAX
    ahead, behind = ("…" if first else ""), ("…" if last < len(source) else "")
    before, marked, after = source[first:start], source[start : min(end, last)], source[min(end, last) : last]
    number = str(problem.line)
    gutter = " " * len(number)
    carets = "^" * max(_width(_shown(marked)), 1)
    shown = _shown(before)
    return (
        f"  {number} | {ahead}{shown}{_shown(marked)}{_shown(after)}{behind}",
        f"  {gutter} | {' ' * (len(ahead) + _width(shown))}{carets}",
    )


def end_of_word(source: str, start: int) -> int:
    """Where the word ends that a problem at this place is about."""
    word = _WORD.match(source, start)
    return word.end() if word else start + 1


def _shown(text: str) -> str:
    return "".join(" " if char == "\t" else char if char.isprintable() else "�" for char in text)


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
