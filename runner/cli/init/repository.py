"""What a repository has: its files, as far as a first pipeline file depends on them. Reads no more than it must."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from runner.errors import StepError
from runner.source.repository_file import read_repository_file

ENTRIES_COUNT_MAX = 10_000
"""How many files and folders are looked at."""

LEVELS_MAX = 3
_NOT_LOOKED_INTO = frozenset({"node_modules", "vendor", "target", "build", "dist", "venv", "testdata", "third_party"})


class Repository:
    """The files of a folder, by their paths in it."""

    def __init__(
        self, folder: Path, files: frozenset[str] | None = None, entries_count_max: int = ENTRIES_COUNT_MAX
    ) -> None:
        self._folder = folder
        self.files = frozenset(_paths(folder, entries_count_max)) if files is None else files

    @property
    def folders(self) -> list[str]:
        """The folders at the top that have files."""
        return sorted({path.partition("/")[0] for path in self.files if "/" in path})

    def below(self, name: str) -> "Repository":
        """What one of these folders has."""
        files = (path.removeprefix(f"{name}/") for path in self.files if path.startswith(f"{name}/"))
        return Repository(self._folder / name, frozenset(files))

    def text(self, path: str) -> str:
        """The text of a file; empty if it is not there or is not text."""
        if path not in self.files:
            return ""
        try:
            return read_repository_file(self._folder, path).decode(errors="replace")
        except StepError:
            return ""

    def has(self, *paths: str) -> bool:
        """Is one of these files there?"""
        return any(path in self.files for path in paths)

    def matching(self, pattern: str) -> list[str]:
        """The files whose path matches a regular expression, sorted by depth and name."""
        found = [path for path in self.files if re.fullmatch(pattern, path)]
        return sorted(found, key=lambda path: (path.count("/"), path))


def _paths(folder: Path, entries_count_max: int) -> Iterator[str]:
    """The paths of files, those of the upper folders first."""
    count = 0
    waiting = [""]
    for level in range(LEVELS_MAX):
        below: list[str] = []
        for parent in waiting:
            for entry in _entries(folder / parent):
                count += 1
                if count > entries_count_max:
                    return
                path = f"{parent}{entry.name}"
                if entry.is_file():
                    yield path
                elif level + 1 < LEVELS_MAX and _is_looked_into(entry):
                    below.append(f"{path}/")
        waiting = below


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for _, entry in zip(range(ENTRIES_COUNT_MAX + 1), entries, strict=False)), key=_name)
    except OSError:
        return []


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_looked_into(entry: os.DirEntry[str]) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    return is_folder and not entry.name.startswith(".") and entry.name not in _NOT_LOOKED_INTO
