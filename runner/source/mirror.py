"""Where the code comes from: one bare mirror per repository, and fresh checkouts made from it.

A mirror is a cache. It holds the commits that runs asked for, each with its parents to compare with, and no history
before them until a checkout wants it; one that is damaged is thrown away and fetched again.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipelines.commit_id import is_full_id, is_id
from pipelines.parser.discovery import FOLDERS
from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError, as_step_error
from runner.source.checkout import Source, add_what_is_elsewhere, lay_out
from runner.source.git import GitError, GitLogin, run_git
from runner.source.git_dir import forget_times
from runner.source.mirror_store import MirrorFolder
from runner.source.remote import REF, WHOLE, Origin

FILE_BYTES_MAX = 1024 * 1024
# A commit and its parents, which it is compared with.
_DEPTH = 2
# Most pull requests left their target less than this many commits ago.
_TOPIC_DEPTH = 100
_TARGET = "refs/headway/target"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Commit:
    """What git knows of a commit. ``timestamp_s`` is the author's, in seconds since 1970."""

    sha: str
    message: str
    author: str
    author_email: str
    timestamp_s: int


def _quiet(_sentence: str) -> None:
    """Nobody wants to know."""


class Mirror:
    """The bare mirror of one repository in ``folder``, shared by all jobs of this worker's machine.

    ``note`` is told in a sentence when something in it had to be mended. ``reach`` are the variables with which git
    reaches servers.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        login: GitLogin | None = None,
        note: Callable[[str], None] = _quiet,
        reach: Mapping[str, str] | None = None,
    ) -> None:
        """Raises StepError where ``url`` is none that we clone from."""
        self._folder = MirrorFolder(folder / f"{hashlib.sha256(url.encode()).hexdigest()[:24]}.git", note)
        self._origin = Origin(url, login, self._folder, reach or {})
        self._wanted = ("", "", "")
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        """The bare repository."""
        return self._folder.path

    def resolve(self, short: str, ref: str) -> str:
        """The whole id of a commit of which only the beginning is known, or nothing: then what ``ref`` is at now."""
        if is_full_id(short):
            return short
        if not short:
            return self._origin.tip(ref)
        if not is_id(short) or not REF.fullmatch(ref):
            raise StepError(Reason.COMMIT_MISSING, f"{short!r} is not a commit id")
        with self._folder.fetching():
            for depth in (_DEPTH, WHOLE):
                self._origin.fetch(short, f"+{ref}:refs/headway/{short}", depth=depth)
                try:
                    return self._git("rev-parse", "--verify", "--quiet", f"{short}^{{commit}}").strip()
                except GitError:
                    # It is not among the newest: on to the whole history.
                    continue
        raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {short} on {ref}")

    def fetch(self, sha: str, ref: str = "", previous: str = "") -> None:
        """Brings the commit here, if it is not, and ``previous`` if the server still has it.

        Raises MachineError: clone_failed or commit_missing.
        """
        if not is_full_id(sha):
            raise StepError(Reason.COMMIT_MISSING, f"{sha!r} is not a commit id")
        self._wanted = (sha, ref, previous)
        compared = [previous] if _is_commit(previous) else []
        if self._is_here(sha) and all(map(self.has, compared)):
            return
        with self._folder.fetching():
            self._bring(sha, ref, compared)
            if not self.has(sha) and self._folder.is_damaged():
                self._folder.discard()
                self._bring(sha, ref, compared)
            if not self.has(sha):
                hint = "it may have been force-pushed away; push again or re-run a newer commit"
                raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {sha}; {hint}")

    def _bring(self, sha: str, ref: str, compared: list[str]) -> None:
        """Asks for ever more until the commit is here: for commits by their ids, for the ref, for everything."""
        missing = [each for each in compared if not self.has(each)]
        if missing:
            both = (f"+{each}:refs/headway/{each}" for each in (sha, *missing))
            self._origin.fetch_if_there(sha, *both, depth=self._depth)
        for name in (sha, ref):
            if self._is_here(sha):
                return
            if name == sha or REF.fullmatch(name):
                self._origin.fetch_if_there(sha, f"+{name}:refs/headway/{sha}", depth=self._depth)
        if not self._is_here(sha):
            self._origin.fetch_refs(sha)

    @property
    def _depth(self) -> int:
        return WHOLE if self._folder.is_whole else _DEPTH

    def _is_here(self, sha: str) -> bool:
        """With its parents, too, where it has any."""
        return self.has(sha) and sha not in self._folder.without_parents()

    def has(self, sha: str) -> bool:
        """True when the commit is here with all that it needs: a fetch that was killed may have left a part of it."""
        try:
            self._git("rev-list", "--objects", "--quiet", f"{sha}^{{commit}}", "--not", "--all", "--")
        except GitError:
            return False
        return True

    def _complete(self, sha: str, *, tags: bool) -> None:
        """Fetches the history before the commit if it is not here, and all tags if they are wanted."""
        if not tags and not self._folder.without_parents():
            return
        with self._folder.fetching():
            self._folder.make_whole()
            self._origin.fetch_if_there(sha, f"+{sha}:refs/headway/{sha}", depth=WHOLE)
            if tags:
                self._origin.fetch_refs(sha)

    def commit(self, sha: str) -> Commit:
        """The commit's message, author and time; bytes that are not UTF-8 are replaced."""
        text = self._look("show", "-s", "--no-show-signature", "--format=%an%x00%ae%x00%at%x00%B", sha, "--")
        author, email, timestamp, message = text.split("\0", 3)
        return Commit(sha, message.strip(), author, email, int(timestamp or 0))

    def files(self, sha: str) -> list[str]:
        """Paths in the commit's root and in its pipeline folders: where pipeline files and Dockerfiles can be."""
        roots = self._look("ls-tree", "-z", "--name-only", sha).split("\0")
        folders = self._look("ls-tree", "-z", "--name-only", sha, *(f"{folder}/" for folder in FOLDERS)).split("\0")
        return [name for name in [*roots, *folders] if name]

    def read(self, sha: str, path: str) -> bytes:
        """A file of the commit. Raises StepError where it is none, or larger than a pipeline file needs to be."""
        entry = self._look("ls-tree", "-z", "-l", sha, path).split()
        if len(entry) <= 3 or entry[1] != "blob":  # noqa: PLR2004 - mode, kind, id, size
            raise StepError(Reason.INVALID_PIPELINE, f"{path} is no file in the commit {sha}")
        if int(entry[3]) > FILE_BYTES_MAX:
            limit = f"has {int(entry[3]):,} bytes; the limit is {FILE_BYTES_MAX:,}"
            raise StepError(Reason.INVALID_PIPELINE, f"{path} {limit}")
        return self._sound(lambda: self._run("cat-file", "blob", entry[2]))

    def merge_base(self, sha: str, target: str) -> str:
        """The commit from which ``sha`` and ``target``, a ref or another commit, went different ways; or nothing.

        Fetches as much of their history as it takes.
        """
        base = self._base(sha, target) if is_full_id(target) else ""
        if not is_full_id(target) and not REF.fullmatch(target):
            return ""
        with self._folder.fetching():
            for depth in (WHOLE,) if self._folder.is_whole else (_TOPIC_DEPTH, WHOLE):
                if base:
                    break
                if depth == WHOLE:
                    self._folder.make_whole()
                wanted = (f"+{sha}:refs/headway/{sha}", f"+{target}:{_TARGET}")
                self._origin.fetch_if_there(sha, *wanted, depth=depth)
                base = self._base(sha, _TARGET)
        return base

    def _base(self, sha: str, other: str) -> str:
        try:
            return self._git("merge-base", "--", sha, other).strip()
        except GitError:  # they have nothing in common, as far as it is here
            return ""

    def changed_files(self, sha: str, previous: str) -> tuple[str, ...]:
        """Paths that differ from ``previous``, or from the commit's parent where that is unknown here."""
        if _is_commit(previous) and self.has(previous):
            names = self._look("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", previous, sha, "--")
        else:
            names = self._look("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-m", "-z", sha, "--")
        return tuple(dict.fromkeys(name for name in names.split("\0") if name))

    def checkout(
        self, sha: str, target: Path, how: Checkout, *, for_builds: bool = False, trusted: bool = False
    ) -> None:
        """Lays the commit out in ``target``, which must not exist, with a ``.git`` that knows nothing of the mirror.

        With ``for_builds`` it is the same to the last byte every time: then ``COPY . .`` can come from a cache.
        Where the commit is ``trusted``, its submodules and large files on the repository's own host are fetched with
        the repository's login; whoever else wrote it could read with that what is not theirs.
        """
        if how.tags or not 0 < how.depth <= _DEPTH:
            self._complete(sha, tags=how.tags)
        login = self._origin.login if trusted else None
        source = Source(self.path, sha, self._origin.url, login, self._origin.reach)
        try:
            self._sound(lambda: lay_out(source, target, how))
            with self._folder.reading():
                add_what_is_elsewhere(source, target, how)
            if for_builds:
                forget_times(target)
        except GitError as error:
            raise GitError(error.said, before=f"the commit {sha} could not be laid out") from error
        except OSError as error:
            raise as_step_error(error) from error

    def _sound(self, read: Callable[[], _T]) -> _T:
        """What ``read`` finds in the mirror; where it fails, in one that is whole."""
        try:
            with self._folder.reading():
                return read()
        except GitError as error:
            if error.reason is Reason.DISK_FULL:
                raise
        with self._folder.fetching():
            if self._folder.is_damaged():
                self._folder.discard()
        self.fetch(*self._wanted)
        with self._folder.reading():
            return read()

    def _look(self, *arguments: str) -> str:
        return self._sound(lambda: self._git(*arguments))

    def _git(self, *arguments: str) -> str:
        return self._run(*arguments).decode(errors="replace")

    def _run(self, *arguments: str) -> bytes:
        return run_git(["git", "--git-dir", str(self.path), *arguments])


def _is_commit(sha: str) -> bool:
    return is_full_id(sha) and set(sha) != {"0"}
