"""Lays out a working tree for ``headway run``: HEAD as a server checks it out, and on it what differs in the tree.

So an unchanged tree gives the files, modes and ``.git`` that a server's steps see, whatever the machine's settings have
made of it: other ends of lines, files of LFS, submodules that are here, a sparse checkout.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.docker.references import LOCAL_FOLDERS
from runner.errors import StepError
from runner.source.checkout import CommitSource, check_out
from runner.source.git.git import GitError, run_git
from runner.source.git.git_dir import WITH_MODES
from runner.source.git.git_words import without_login
from runner.source.git.server import RepoServer
from runner.source.git.users_git import fetch_missing, users_settings
from runner.source.large_files import keep_clean, uses_lfs
from runner.source.reproducible import make_reproducible

_EXECUTABLE, _ORDINARY = "100755", "100644"
_SUBMODULE = "160000"
_NO_ADDRESS = re.compile("No url found for submodule path .(.*). in .gitmodules")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_POINTER_BYTES_MAX = 1024
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Source:
    """A working tree: its folder, its commit, and the address of its remote, empty if it has none."""

    folder: Path
    head: str = ""
    origin: str = ""

    @cached_property
    def _options(self) -> list[str]:
        return users_settings(self.folder)

    def names(self, *arguments: str, stdin: bytes | None = None) -> list[str]:
        """What a git command prints with NUL after each, with names as the operating system has them."""
        with TemporaryFile() as given:
            given.write(stdin or b"")
            given.seek(0)
            output = run_git(["git", *self._options, "-C", str(self.folder), *arguments], stdin=given)
        return [os.fsdecode(each) for each in output.split(b"\0")[:-1]]


class Change(NamedTuple):
    """A path whose file differs from HEAD: its mode now, empty if it is not there any more, and its blob in HEAD."""

    path: str
    mode: str
    blob: str


def lay_out(source: Source, target: Path, how: Checkout, *, for_builds: bool) -> None:
    """Writes the tree to ``target``, which must not exist. Raises GitError and StepError."""
    fetch_missing(source.folder, source.head, how.depth, tags=how.tags)
    common = run_git(["git", "-C", str(source.folder), "rev-parse", "--git-common-dir"]).removesuffix(b"\n")
    git_dir = (source.folder / os.fsdecode(common)).resolve()
    check_out(CommitSource(git_dir, source.head, source.origin, RepoServer(source.origin, None, {})), target, how)
    submodules = submodules_of(source)
    _overlay(source, target, how, submodules)
    if how.lfs and uses_lfs(target):
        keep_clean(target)
    if how.submodules:
        _lay_out_submodules(source, target, submodules, Checkout(submodules=True, lfs=how.lfs))
    if for_builds:
        make_reproducible(target)


def _overlay(source: Source, target: Path, how: Checkout, submodules: Mapping[str, str]) -> None:
    differing = [change for change in changes(source) if change.path not in submodules]
    unchanged = set() if how.lfs else unchanged_large_files(source, differing)
    for change in differing:
        if not change.mode:
            _remove(target, change.path)
    for change in differing:
        if change.mode and change.path not in unchanged:
            copy(source.folder / change.path, target / change.path, change.mode)
    _copy_new_files(source, target, submodules)
    if how.lfs:
        _copy_large_files(source, target)


def _copy_new_files(source: Source, target: Path, submodules: Mapping[str, str]) -> None:
    modes = _git_says(source.folder, "config", "--type=bool", "core.fileMode") != "false"
    for name in new_files(source):
        if name.rstrip("/") not in submodules:
            for each in within(source.folder, name):
                copy(source.folder / each, target / each, "" if modes else _ORDINARY)


def changes(source: Source) -> Iterator[Change]:
    """What differs from HEAD; also what git was told not to look at, if it is there."""
    arguments = ("diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--ignore-submodules=all")
    words = source.names(*arguments, source.head, "--")
    for known, path in zip(words[::2], words[1::2], strict=True):
        _, mode, blob, _, status = known.split(" ")
        yield Change(path, "" if status.startswith("D") else mode, blob)
    for entry in source.names("ls-files", "-v", "-z"):
        mark, path = entry[0], entry[2:]
        if (mark.islower() or mark == "S") and os.path.lexists(source.folder / path):
            yield Change(path, mode_of(source.folder / path), "")


def new_files(source: Source) -> list[str]:
    """The files that git does not know, without those that it ignores."""
    return source.names("ls-files", "-z", "--others", "--exclude-standard", "--exclude", LOCAL_FOLDERS)


def is_ignored(folder: Path, name: str) -> bool:
    """Does git ignore the file? Never outside of a repository, nor where the file is tracked."""
    arguments = ("--literal-pathspecs", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", name)
    try:
        return bool(Source(folder).names(*arguments))
    except GitError:
        return False


def tracked_files(source: Source) -> list[str]:
    """The files of a folder in git's index."""
    return source.names("ls-files", "-z", "--cached")


def files_in(folder: Path) -> Iterator[str]:
    """The files of a folder in a repository that git does not ignore, with those of the repositories inside it."""
    source = Source(folder)
    return files_of(source, tracked_files(source), new_files(source))


def files_of(source: Source, tracked: Iterable[str], new: Iterable[str]) -> Iterator[str]:
    """Those of the files that are there, and in place of a repository inside the folder its files."""
    for name in dict.fromkeys([*tracked, *new]):
        if os.path.lexists(source.folder / name):
            yield from within(source.folder, name)


def within(folder: Path, name: str) -> Iterator[str]:
    """The name of a file; where it is a repository's folder, the names of its files, without those that it ignores."""
    inner = folder / name
    if inner.is_dir() and not inner.is_symlink() and (inner / ".git").exists():
        yield from (f"{name.rstrip('/')}/{each}" for each in files_in(inner))
    else:
        yield name


def strange_files(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Pipes, sockets and devices beside the named files, which git does not see."""
    places = {""}
    for name in names:
        place = name.rpartition("/")[0]
        while place not in places:
            places.add(place)
            place = place.rpartition("/")[0]
    for path in (folder / place for place in sorted(places)):
        if path.is_dir() and os.access(path, os.R_OK | os.X_OK):
            yield from sorted(str(each.relative_to(folder)) for each in path.iterdir() if _is_strange(each))


def _is_strange(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def mode_of(path: Path) -> str:
    """Git's mode of an ordinary file."""
    return _EXECUTABLE if path.lstat().st_mode & stat.S_IXUSR else _ORDINARY


def _remove(target: Path, name: str) -> None:
    """Removes a file, and the folders that git removes with it because nothing else is in them."""
    path = target / name
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == target or any(folder.iterdir()):
            return
        folder.rmdir()


def copy(source: Path, target: Path, mode: str = "") -> None:
    """Copies a file, a symbolic link or a folder, with git's modes. ``mode`` is git's, empty for that of the file."""
    _make_folder(target.parent)
    if source.is_dir() and not source.is_symlink():
        _make_folder(target)
        for each in sorted(source.iterdir()):
            if not each.match(LOCAL_FOLDERS):
                copy(each, target / each.name)
        return
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_file():  # a socket or a pipe is no source
        shutil.copy2(source, target)
        target.chmod(0o755 if (mode or mode_of(source)) == _EXECUTABLE else 0o644)


def _make_folder(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        return
    _make_folder(path.parent)
    path.unlink(missing_ok=True)
    path.mkdir()
    path.chmod(0o755)


# Files of LFS


def unchanged_large_files(source: Source, changes: Iterable[Change]) -> set[str]:
    """Files of LFS that differ from HEAD only because HEAD has their pointers, as a server's steps have."""
    blobs = {change.path: change.blob for change in changes if change.mode and change.blob}
    found = set()
    for name in _filtered_by_lfs(source, blobs):
        pointer = _POINTER.match(run_git(["git", "-C", str(source.folder), "cat-file", "blob", blobs[name]]))
        if pointer and _digest(source.folder / name) == pointer[1].decode():
            found.add(name)
    return found


def _filtered_by_lfs(source: Source, names: Iterable[str]) -> list[str]:
    return [name for name, value in filters_of(source, names) if value == "lfs"]


def filters_of(source: Source, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file with its ``filter`` of .gitattributes: a name, or what git says where it has none."""
    given = b"".join(os.fsencode(name) + b"\0" for name in names)
    words = source.names("check-attr", "-z", "--stdin", "filter", stdin=given) if given else []
    return zip(words[::3], words[2::3], strict=True)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _copy_large_files(source: Source, target: Path) -> None:
    tracked = [name for name in tracked_files(source) if os.path.lexists(source.folder / name)]
    for name in _filtered_by_lfs(source, tracked):
        path = source.folder / name
        if path.stat().st_size <= _POINTER_BYTES_MAX and _POINTER.match(path.read_bytes()):
            shown = os.fsencode(name).decode(errors="replace")
            message = (
                f"the LFS file {shown} is not here, and `clone` asks for it; run `git lfs pull`, or set `lfs: false`"
            )
            raise StepError(Reason.CLONE_FAILED, message)
        copy(path, target / name)


# Submodules


def submodules_of(source: Source) -> dict[str, str]:
    """The paths of the submodules with their commits."""
    entries = [entry.split("\t", 1) for entry in source.names("ls-files", "-s", "-z")]
    return {path: known.split(" ")[1] for known, path in entries if known.startswith(_SUBMODULE)}


def _lay_out_submodules(source: Source, target: Path, submodules: Mapping[str, str], how: Checkout) -> None:
    for path in submodules:
        inner = source.folder / path
        head = _git_says(inner, "rev-parse", "--verify", "HEAD") if (inner / ".git").exists() else ""
        if not head:
            shown = os.fsencode(path).decode(errors="replace")
            message = f"the submodule {shown} is not here, and `clone` asks for it"
            hint = "run `git submodule update --init --recursive`"
            raise StepError(Reason.CLONE_FAILED, f"{message}; {hint}")
        remote = without_login(_git_says(inner, "remote", "get-url", "origin"))
        (target / path).rmdir()
        lay_out(Source(inner, head, remote), target / path, how, for_builds=False)
    if submodules:
        at = [*WITH_MODES, "git", "-C", str(target), "submodule", "--quiet"]
        try:
            run_git([*at, "init"])
        except GitError as error:
            if not (found := _NO_ADDRESS.search(error.stderr)):
                raise
            message = f"the submodule {found[1]} has no address in .gitmodules"
            hint = "add it there, or remove the folder from the commit"
            raise StepError(Reason.COMMIT_MISSING, f"{message}; {hint}") from None
        run_git([*at, "absorbgitdirs"])


def _git_says(folder: Path, *arguments: str) -> str:
    """The output of a git command; empty if it fails."""
    try:
        return run_git(["git", "-C", str(folder), *arguments]).decode(errors="replace").strip()
    except GitError:
        return ""
