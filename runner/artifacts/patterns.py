"""Which files the patterns of a step's artifacts mean. A pattern that matches a folder means all files in it."""

import re
from collections.abc import Iterator, Sequence
from posixpath import join

from pipelines.matching.glob import matches

_SPECIAL = re.compile(r"[*?\[{\\]")


class Patterns:
    """Compares paths with the patterns, and remembers which matched."""

    def __init__(self, paths: Sequence[str], exclude: Sequence[str]) -> None:
        self._paths, self._exclude = tuple(paths), tuple(exclude)
        self._starts = {pattern: fixed_start(pattern) for pattern in self._paths}
        self._matched: set[str] = set()

    @property
    def unmatched(self) -> list[str]:
        """Patterns that no file has matched yet."""
        return [pattern for pattern in self._paths if pattern not in self._matched]

    def is_excluded(self, path: str) -> bool:
        """Is a file or folder left out, with all below it?"""
        return any(matches(pattern, path) for pattern in self._exclude)

    def found(self, path: str) -> frozenset[str]:
        """The patterns that match this file or folder itself."""
        return frozenset(pattern for pattern in self._paths if matches(pattern, path))

    def use(self, patterns: frozenset[str]) -> None:
        """Remembers that these patterns have led to a file."""
        self._matched |= patterns

    def may_be_below(self, folder: str) -> bool:
        """Can a file in this folder match?"""
        below = f"{folder}/"
        return any(
            below.startswith(f"{start}/") or f"{start}/".startswith(below) or not start
            for start in self._starts.values()
        )

    def starts(self) -> list[str]:
        """The paths below which all files are that can match, none inside another. An empty one is the folder."""
        found: list[str] = []
        for start in sorted(set(self._starts.values())):
            if not any(not kept or f"{start}/".startswith(f"{kept}/") for kept in found):
                found.append(start)
        return found


def fixed_start(pattern: str) -> str:
    """The folders, or the whole path, at the start of a pattern that stand for nothing but themselves."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if _SPECIAL.search(part):
            break
        parts.append(part)
    return "/".join(part for part in parts if part not in {"", "."})


def parents(path: str) -> Iterator[str]:
    """The folders above a path, from the outermost on."""
    so_far = ""
    for part in path.split("/")[:-1]:
        so_far = join(so_far, part)
        yield so_far
