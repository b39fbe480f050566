"""The content of a step's sources, by git's ids of the files that its patterns match: no file is read."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipelines.matching.glob import BadPatternError, matches
from pipelines.visible import visible_line
from runner.artifacts.patterns import fixed_start

TREE_ENTRIES_COUNT_MAX = 200_000
"""With more files and folders in a commit, no step of it is reused."""
WORK_CHARACTERS_MAX = 200_000_000
"""The characters of patterns times those of the paths that are compared with them, for all steps of a job."""
TREE, LINK, SUBMODULE = "040000", "120000", "160000"
_GIT_FILES = frozenset({".gitattributes", ".gitmodules", ".lfsconfig"})


class TreeEntry(NamedTuple):
    """A file, link, folder or submodule of a commit or a working tree: its path, git's mode, and git's id."""

    path: str
    mode: str
    object: str


class UnknownSourcesError(Exception):
    """The content of the sources is not known, so that the step runs. The text is the end of a sentence."""


class SourceTree:
    """The files that a job checks out. They are listed when they are first asked for.

    ``list_entries`` may raise UnknownSourcesError.
    """

    def __init__(self, list_entries: Callable[[], Sequence[TreeEntry]]) -> None:
        self._list = list_entries
        self._entries: Sequence[TreeEntry] | None = None
        self._problem = ""
        self._known: dict[str, str] = {}
        self._work_characters = 0

    def states(self, patterns: Iterable[str]) -> Mapping[str, str]:
        """A digest for each pattern, of all that it matches, and one for git's own files. Raises UnknownSourcesError.

        A pattern that matches a folder stands for all in it. Where it matches a link, or a part of a submodule, what is
        behind that is not in the tree: then all of the tree counts, with the ids of the submodules.
        """
        entries = self._all()
        for pattern in patterns:
            if pattern not in self._known:
                self._known[pattern] = self._state(pattern, entries)
        return {pattern: self._known[pattern] for pattern in patterns}

    def git_files(self) -> str:
        """A digest of the files that say how git checks others out. Raises UnknownSourcesError."""
        if "" not in self._known:
            named = (entry for entry in self._all() if entry.path.rpartition("/")[2] in _GIT_FILES)
            self._known[""] = _digest(named)
        return self._known[""]

    def _all(self) -> Sequence[TreeEntry]:
        if self._entries is None and not self._problem:
            try:
                self._entries = sorted(self._list(), key=lambda entry: entry.path.split("/"))
            except UnknownSourcesError as error:
                self._problem = str(error)
        if self._problem or self._entries is None:
            raise UnknownSourcesError(self._problem)
        if len(self._entries) > TREE_ENTRIES_COUNT_MAX:
            most = f"{TREE_ENTRIES_COUNT_MAX:,}"
            raise UnknownSourcesError(f"the repository has more than {most} files and folders")
        return self._entries

    def _state(self, pattern: str, entries: Sequence[TreeEntry]) -> str:
        found = self._matched(pattern, entries)
        if not found:
            raise UnknownSourcesError(f"no file matches its source {visible_line(pattern)!r}")
        elsewhere = any(entry.mode == LINK or not _is_matched(pattern, entry) for entry in found)
        return _digest(entries if elsewhere else found)

    def _matched(self, pattern: str, entries: Sequence[TreeEntry]) -> list[TreeEntry]:
        start = fixed_start(pattern)
        below = f"{start}/" if start else ""
        plain = pattern in {start, f"{start}/**"}
        found, inside = list[TreeEntry](), ""
        for entry in entries:
            if inside and entry.path.startswith(inside):
                found.append(entry)
            elif entry.path == start or entry.path.startswith(below):
                if plain or self._matches(pattern, entry.path):
                    found.append(entry)
                    inside = f"{entry.path}/" if entry.mode == TREE else inside
                elif entry.mode in {LINK, SUBMODULE}:
                    found.append(entry)
            elif entry.mode in {LINK, SUBMODULE} and below.startswith(f"{entry.path}/"):
                found.append(entry)
        return found

    def _matches(self, pattern: str, path: str) -> bool:
        self._work_characters += len(pattern) * len(path)
        if self._work_characters > WORK_CHARACTERS_MAX:
            most = f"{WORK_CHARACTERS_MAX:,}"
            raise UnknownSourcesError(f"its sources are too much to compare (characters squared: more than {most})")
        try:
            return matches(pattern, path)
        except BadPatternError as error:
            raise UnknownSourcesError(str(error)) from None


def _is_matched(pattern: str, entry: TreeEntry) -> bool:
    """False for a link or a submodule on the way to what the pattern means."""
    return entry.mode not in {LINK, SUBMODULE} or matches(pattern, entry.path)


def _digest(entries: Iterable[TreeEntry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        if entry.mode != TREE:
            line = f"{entry.mode} {entry.object} {entry.path}\0"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def entries_of(listed: bytes) -> list[TreeEntry]:
    """The entries of the output of ``git ls-tree -r -t -z``."""
    found = []
    for line in listed.split(b"\0")[:-1]:
        about, _, path = line.decode(errors="surrogateescape").partition("\t")
        mode, _, identifier = about.split(" ")
        found.append(TreeEntry(path, mode, identifier))
    return found


LS_TREE = ("ls-tree", "-r", "-t", "-z", "--full-tree")
"""The git command whose output ``entries_of`` reads, but for the commit."""
