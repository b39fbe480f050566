"""Packs a working tree for ``headway run --remote``: one commit with the files that ``headway run`` would take.

Its parent is the newest commit that a remote branch has: commits that are only here come as a part of it. Everything is
made in a repository of its own, which reads the objects of the user's: their refs, their objects and what their index
has stay as they are.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import GitError, run_git
from runner.source.git.users_git import fetch_missing, users_git
from runner.source.stored_files import StoredFile, stored_files
from runner.source.working_tree import WorkingTree
from runner.source.working_tree_files import (
    Source,
    changes,
    filters_of,
    mode_of,
    new_files,
    submodules_of,
    tracked_files,
    unchanged_large_files,
    within,
)

CHANGED_BYTES_MAX = 1024**3
"""Of the files that differ from the commit, before they are packed."""
_REF = "refs/heads/sent"
_LINK = "120000"
_READ_BYTES = 1024 * 1024
_LFS = "lfs"
_NO_FILTER = frozenset({"unspecified", "unset", "set", "", _LFS})
"""What git says of a file without a filter; and LFS, whose files are sent as they are."""
_UNKNOWN = "headway <>"


@dataclass(frozen=True)
class PackedTree:
    """The pack of a working tree: its commit, and the parent of that, empty where it has none."""

    path: Path
    commit: str
    base: str


def pack_tree(tree: WorkingTree, folder: Path, changed_bytes_max: int = CHANGED_BYTES_MAX) -> PackedTree:
    """Packs the tree into the empty ``folder``. Raises StepError, GitError and OSError."""
    _check(tree)
    source, own = Source(tree.folder, tree.head, tree.remote()), folder / "sent.git"
    if tree.head:
        fetch_missing(tree.folder, tree.head, 1, tags=False)
    _create(tree, own)
    base = _known_commit(tree)
    with TemporaryFile(dir=folder) as stream:
        differing = list(_differing(source))
        names = [name for name, mode in differing if mode is not None]
        _check_size(tree.folder, names, changed_bytes_max)
        plain = _without_filter(source, names)
        stored = stored_files(source, plain, own, _path_of(tree, "info/attributes"))
        _write_commit(_Stream(stream, tree.folder, stored), tree, base, differing)
        stream.seek(0)
        git = ["git", "--git-dir", str(own)]
        run_git([*git, "fast-import", "--quiet", "--done"], stdin=stream)
    commit = run_git([*git, "rev-parse", _REF]).decode().strip()
    return PackedTree(_pack(own, folder, commit, base), commit, base)


def _check(tree: WorkingTree) -> None:
    if not tree.in_repository:
        why = f"{tree.folder} is in no repository of git: --remote sends the tree of one"
        raise StepError(Reason.NO_PIPELINE, why)
    top = Path(tree.git("rev-parse", "--show-toplevel"))
    if top.resolve() != tree.folder:
        raise StepError(Reason.NO_PIPELINE, f"--remote sends a whole repository: name its folder, {top}")


def _create(tree: WorkingTree, own: Path) -> None:
    kind = tree.git("rev-parse", "--show-object-format")
    run_git(["git", "init", "--bare", "--quiet", "--template=", f"--object-format={kind}", str(own)])
    alternates = own / "objects" / "info" / "alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_bytes(os.fsencode(_quoted(_path_of(tree, "objects"))) + b"\n")


def _path_of(tree: WorkingTree, name: str) -> Path:
    return (tree.folder / tree.git("rev-parse", "--git-path", name)).resolve()


def _quoted(path: Path) -> str:
    """As git reads paths in quotes."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _known_commit(tree: WorkingTree) -> str:
    """The newest commit of HEAD's history that a branch of the remote has, as far as it was fetched; empty if none."""
    remote = tree.remote_name
    if not tree.head or not remote or not tree.git("for-each-ref", "--count=1", f"refs/remotes/{remote}/"):
        return ""
    own = tree.git("rev-list", "--boundary", tree.head, "--not", f"--remotes={remote}").split()
    if not own:
        return tree.head
    return next((each[1:] for each in own if each.startswith("-")), "")


def _pack(own: Path, folder: Path, commit: str, base: str) -> Path:
    with TemporaryFile(dir=folder) as wanted:
        wanted.write(f"{commit}\n{f'^{base}' if base else ''}\n".encode())
        wanted.seek(0)
        git = ["git", "--git-dir", str(own)]
        pack = [*git, "pack-objects", "--revs", "--quiet", "--delta-base-offset", str(folder / "sent")]
        name = run_git(pack, stdin=wanted).decode().strip()
    return folder / f"sent-{name}.pack"


class _Stream:
    """What ``git fast-import`` reads. ``stored`` are the files that git has already."""

    def __init__(self, file: BinaryIO, folder: Path, stored: Mapping[str, StoredFile]) -> None:
        self._file, self._folder, self._stored = file, folder, stored

    def line(self, text: str) -> None:
        self._file.write(os.fsencode(text) + b"\n")

    def data(self, data: bytes) -> None:
        self._file.write(b"data %d\n%b\n" % (len(data), data))

    def remove(self, name: str) -> None:
        self.line(f"D {_quoted(Path(name))}")

    def add(self, name: str, mode: str) -> None:
        """Adds a file as git stores it, or a symbolic link. What is neither, or was removed meanwhile, is left out."""
        path, stored = self._folder / name, self._stored.get(name)
        if stored:
            self.line(f"M {mode or stored.mode} {stored.blob} {_quoted(Path(name))}")
        elif path.is_symlink():
            self.line(f"M {_LINK} inline {_quoted(Path(name))}")
            self.data(os.fsencode(path.readlink()))
        elif path.is_file():
            self._add_file(name, mode or mode_of(path), path)

    def _add_file(self, name: str, mode: str, path: Path) -> None:
        with path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            self.line(f"M {mode} inline {_quoted(Path(name))}")
            self.line(f"data {left}")
            while left and (piece := file.read(min(left, _READ_BYTES))):
                self._file.write(piece)
                left -= len(piece)
        if left:
            raise StepError(Reason.NO_PIPELINE, f"{name} became shorter while it was read; run it again")
        self.line("")


def _write_commit(
    stream: _Stream, tree: WorkingTree, base: str, differing: Sequence[tuple[str, str | None]]
) -> None:  # fmt: skip
    who = _sender(tree)
    stream.line(f"commit {_REF}")
    stream.line(f"author {who}")
    stream.line(f"committer {who}")
    stream.data(b"Uncommitted tree\n")
    if base:
        stream.line(f"from {base}")
    if tree.head:
        stream.line(f'M 040000 {tree.git("rev-parse", f"{tree.head}^{{tree}}")} ""')
    for name, mode in differing:
        if mode is None:
            stream.remove(name)
        else:
            stream.add(name, mode)
    stream.line("done")


def _check_size(folder: Path, names: Iterable[str], bytes_max: int) -> None:
    size_bytes = 0
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):  # it was removed meanwhile
            size_bytes += (folder / name).lstat().st_size
        if size_bytes > bytes_max:
            most = f"the files that differ have more than {bytes_max:,} bytes, the limit of --remote"
            raise StepError(Reason.NO_PIPELINE, f"{most}; let git ignore what need not be sent")


def _without_filter(source: Source, names: list[str]) -> list[str]:
    """The ordinary files that are not of LFS. A push would send what a filter such as git-crypt makes of a file; this
    refuses one: it runs no program of the user's settings.
    """
    found = []
    for name, value in filters_of(source, names):
        if value not in _NO_FILTER:
            why = f"{name} has the filter {value!r} in .gitattributes, and --remote runs no filters"
            raise StepError(Reason.NO_PIPELINE, f"{why}; commit and push it, or undo its change")
        path = source.folder / name
        if value != _LFS and path.is_file() and not path.is_symlink():
            found.append(name)
    return found


def _differing(source: Source) -> Iterator[tuple[str, str | None]]:
    """The paths that differ from HEAD: their modes, empty for that of the file; None for what is not there any more."""
    submodules = submodules_of(source)
    if source.head:
        differing = [change for change in changes(source) if change.path not in submodules]
        unchanged = unchanged_large_files(source, differing)
        yield from ((change.path, None) for change in differing if not change.mode)
        yield from ((each.path, each.mode) for each in differing if each.mode and each.path not in unchanged)
    else:
        yield from ((name, "") for name in tracked_files(source) if name not in submodules)
    for name in new_files(source):
        if name.rstrip("/") not in submodules:
            yield from ((each, "") for each in within(source.folder, name))


def _sender(tree: WorkingTree) -> str:
    """The user as git knows them, and the time, in git's form."""
    try:
        return users_git(tree.folder, "var", "GIT_COMMITTER_IDENT").decode(errors="surrogateescape").strip()
    except GitError:  # git does not know a name
        return f"{_UNKNOWN} {int(time.time())} +0000"
