"""Mirrors: one bare git repository per remote repository, from which commits are read and checked out.

A mirror is a cache. It has the commits of runs, each with its parents to compare with, and no older history until a
checkout needs it. A damaged mirror is deleted and fetched again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipelines.commit_id import is_full_id, is_id
from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError, as_step_error
from runner.source.checkout import CommitSource, add_submodules_and_lfs, check_out, tag_ref
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GIT_TIMEOUT_S, GitError, GitLogin, run_git
from runner.source.git.limited_git import GitLimits
from runner.source.git.reach import Reach
from runner.source.mirrors.changed_files import LIST_LIMITS, ListLimits, changed_files
from runner.source.mirrors.commit import Commit, read_commit
from runner.source.mirrors.mirror_store import MirrorStore, mirror_name
from runner.source.mirrors.reachability import check_kind, is_on_branch_or_tag
from runner.source.mirrors.remote import REF, WHOLE, Remote
from runner.source.reproducible import make_reproducible
from runner.source.tree_entries import entry_at, pipeline_names

FILE_BYTES_MAX = 1024 * 1024
TREE_BYTES_MAX = 64 * 1024**2
"""Of the list of all files and folders of a commit: some 600,000 with paths of 60 bytes."""
# The commit and its parents, for the list of changed files.
_DEPTH = 2
# Most pull requests branched off less than this many commits ago.
_TOPIC_DEPTH = 100
_TARGET = "refs/headway/target"
_T = TypeVar("_T")


def _no_warning(_sentence: str) -> None:
    """For callers that need no warnings."""


class Mirror:
    """The bare mirror of one repository in ``folder``, shared by all jobs of this worker's machine.

    ``warn`` gets a sentence when damage was repaired. ``egress`` are variables for proxies and CA certificates.
    ``name`` is the repository's name on Headway, for commands in messages. Mirrors with another ``key`` are others.
    ``history_from`` is the parent of a commit that the server does not have: the whole history is that of the parent.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        login: GitLogin | None = None,
        warn: Callable[[str], None] = _no_warning,
        egress: Mapping[str, str] | None = None,
        name: str = "NAME",
        key: str = "",
        foreign: ForeignServer | None = None,
    ) -> None:
        """Raises StepError if Headway does not clone from ``url``."""
        self._folder = MirrorStore(folder / mirror_name(url, key), warn)
        self._remote = Remote(url, login, self._folder, egress or {}, name, foreign)
        self._wanted = ("", "", "")
        self.history_from = ""
        folder.mkdir(parents=True, exist_ok=True)

    def within(self, reach: Reach) -> "Mirror":
        """This mirror, whose server may redirect, and whose submodules and LFS files may be, within ``reach`` alone."""
        self._remote.server.reach = reach
        return self

    @property
    def path(self) -> Path:
        """The bare repository."""
        return self._folder.path

    @property
    def moved_to(self) -> str | None:
        """Where the server says that the repository is now, empty where it has not moved; None where it cannot tell."""
        server = self._remote.server
        return server.moved_to if server.was_asked and server.url.startswith("http") else None

    def resolve(self, short: str, ref: str) -> str:
        """The full id of a commit with the abbreviated id ``short``; without one, the commit that ``ref`` points to."""
        if is_full_id(short):
            return short
        if not short:
            return self._remote.tip(ref)
        if not is_id(short) or not REF.fullmatch(ref):
            raise StepError(Reason.COMMIT_MISSING, f"{short!r} is not a commit id")
        with self._folder.fetching():
            for depth in (_DEPTH, WHOLE):
                self._remote.fetch(short, f"+{ref}:refs/headway/{short}", depth=depth)
                # If there is none, it is not among the newest commits: fetch the whole history.
                if found := self._commits_named(short):
                    return self._only(short, found)
        raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {short} on {ref}")

    def _commits_named(self, short: str) -> list[str]:
        """The ids of commits that begin so. Git's own look-up would prefer a branch or tag of this name."""
        ids = self._git("rev-parse", f"--disambiguate={short}").split()
        return [each for each in ids if self._git("cat-file", "-t", each).strip() == "commit"]

    def _only(self, short: str, found: list[str]) -> str:
        if len(found) > 1:
            hint = f"it could be {' or '.join(sorted(found)[:3])}; give more digits"
            raise StepError(Reason.COMMIT_MISSING, f"the id {short} is not unique: {hint}")
        return found[0]

    def tips(self) -> dict[str, str]:
        """What each branch and tag of the repository points to now. Raises MachineError."""
        return self._remote.tips()

    def is_on_branch_or_tag(self, sha: str, tips: Mapping[str, str], tag: str = "") -> bool:
        """True if a branch or a tag of the repository contains the commit; with ``tag``, only if this tag does.

        The mirror also has commits of pull requests from forks: that it has a commit says nothing. If the commit is
        none of the ``tips``, fetches the history of all branches and tags as they are now, without those that git
        refuses to fetch. Raises MachineError if the repository does not answer.
        """
        ref = f"refs/tags/{tag}"
        if sha in ({tips.get(ref), tips.get(f"{ref}^{{}}")} if tag else set(tips.values())):
            return True
        with self._folder.fetching():
            return is_on_branch_or_tag(self._remote, self._git, sha, tag)

    def fetch(self, sha: str, ref: str = "", previous: str = "") -> None:
        """Fetches the commit if the mirror does not have it, and ``previous`` if the server still has it.

        Raises MachineError: clone_failed or commit_missing.
        """
        if not is_full_id(sha):
            raise StepError(Reason.COMMIT_MISSING, f"{sha!r} is not a commit id")
        self._wanted = (sha, ref, previous)
        compared = [previous] if _is_commit(previous) else []
        if self._is_here(sha) and all(map(self.has, compared)):
            return
        with self._folder.fetching():
            self._fetch_commit(sha, ref, compared)
            if not self.has(sha) and self._folder.is_damaged():
                self._folder.discard()
                self._fetch_commit(sha, ref, compared)
            if not self.has(sha):
                hint = "it may have been force-pushed away; push again or re-run a newer commit"
                raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {sha}; {hint}")

    def _fetch_commit(self, sha: str, ref: str, compared: list[str]) -> None:
        """Tries wider and wider fetches until the commit is here: by its id, by the ref, then all branches and tags."""
        missing = [each for each in compared if not self.has(each)]
        if missing:
            both = (f"+{each}:refs/headway/{each}" for each in (sha, *missing))
            self._remote.fetch_if_there(sha, *both, depth=self._depth)
        for name in (sha, ref):
            if self._is_here(sha):
                return
            if name == sha or REF.fullmatch(name):
                self._remote.fetch_if_there(sha, f"+{name}:refs/headway/{sha}", depth=self._depth)
        if not self._is_here(sha):
            check_kind(self._git, sha, ref)
            self._remote.fetch_refs(sha)

    @property
    def _depth(self) -> int:
        return WHOLE if self._folder.is_whole else _DEPTH

    def _is_here(self, sha: str) -> bool:
        """True if the mirror has the commit and its parents."""
        return self.has(sha) and sha not in self._folder.without_parents()

    def has(self, sha: str) -> bool:
        """True if the mirror has the commit and all its objects: a killed fetch may have left only some of them."""
        try:
            self._git("rev-list", "--objects", "--quiet", f"{sha}^{{commit}}", "--not", "--all", "--")
        except GitError:
            return False
        return True

    def _complete(self, sha: str, *, tags: bool) -> None:
        """Fetches the whole history of the commit and, with ``tags``, all tags."""
        if not tags and not self._folder.without_parents():
            return
        with self._folder.fetching():
            self._folder.make_whole()
            known = self.history_from or sha
            self._remote.fetch_if_there(sha, f"+{known}:refs/headway/{known}", depth=WHOLE)
            if tags:
                self._remote.fetch_tags(sha)

    def commit(self, sha: str) -> Commit:
        """The commit's message, author and time, see ``read_commit``."""
        return self._with_repair(lambda: read_commit(self.path, sha))

    def peeled(self, sha: str) -> str:
        """The id of the commit under an annotated tag whose object was fetched; of a commit its own."""
        return self._read_git("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}").strip()

    def files(self, sha: str) -> list[str]:
        """Paths in the root and in the pipeline folders of the commit, where pipeline files and Dockerfiles can be.

        A pipeline folder may be a link to another.
        """
        return self._with_repair(lambda: pipeline_names(self._run, sha))

    def read(self, sha: str, path: str) -> bytes:
        """A file of the commit; of a link in it the file that it leads to.

        Raises StepError if there is none or if it is larger than ``FILE_BYTES_MAX``.
        """
        entry = self._with_repair(lambda: entry_at(self._run, sha, path))
        if entry is None or entry.kind != "blob":
            raise StepError(Reason.INVALID_PIPELINE, f"{path} is not a file in the commit {sha}")
        if entry.bytes > FILE_BYTES_MAX:
            limit = f"has {entry.bytes:,} bytes; the limit is {FILE_BYTES_MAX:,}"
            raise StepError(Reason.INVALID_PIPELINE, f"{path} {limit}")
        return self._with_repair(lambda: self._run("cat-file", "blob", entry.object))

    def tree(self, sha: str, bytes_max: int = TREE_BYTES_MAX) -> bytes:
        """All files and folders of a commit, as ``git ls-tree -r -t -z`` lists them.

        Raises GitError, and TooMuchOutputError or NoAnswerError where they are too many.
        """
        limits = GitLimits(time.monotonic() + GIT_TIMEOUT_S, bytes_max)
        return self._with_repair(lambda: self._run("ls-tree", "-r", "-t", "-z", "--full-tree", sha, limits=limits))

    def merge_base(self, sha: str, target: str) -> str:
        """The merge base of ``sha`` and ``target``, which is a ref or another commit; empty if there is none.

        Fetches as much of their history as necessary.
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
                self._remote.fetch_if_there(sha, *wanted, depth=depth)
                base = self._base(sha, _TARGET)
        return base

    def _base(self, sha: str, other: str) -> str:
        try:
            return self._git("merge-base", "--", sha, other).strip()
        except GitError:  # no common ancestor in the history fetched so far
            return ""

    def changed_files(self, sha: str, previous: str, limits: ListLimits = LIST_LIMITS) -> tuple[str, ...] | None:
        """Paths that differ from ``previous``, or from the commit's parent if the mirror does not have ``previous``.

        None if they are more than the limits allow.
        """
        base = previous if _is_commit(previous) and self.has(previous) else ""
        return self._with_repair(lambda: changed_files(self.path, sha, base, limits))

    def checkout(
        self,
        sha: str,
        target: Path,
        how: Checkout,
        *,
        for_builds: bool = False,
        trusted: bool = False,
        reaches_host: bool = False,
    ) -> None:
        """Checks out the commit to ``target``, which must not exist, with a ``.git`` independent of the mirror.

        With ``for_builds`` the checkout is reproducible to the last byte, so that ``COPY . .`` can come from a cache.
        Only if the commit is ``trusted``, submodules and LFS files on the repository's own host are fetched with the
        repository's login: else the author of a pull request could read private repositories with it. Only with
        ``reaches_host``, or where the mirror's reach has it, they may come from this machine itself.
        """
        if how.tags or not 0 < how.depth <= _DEPTH:
            self._complete(sha, tags=how.tags)
        self._fetch_tag(sha, how.tag)
        server = self._remote.server
        if not trusted:
            server = replace(server, login=None, withheld=server.login is not None)
        reach = server.reach
        server = replace(server, reach=replace(reach, trusted=trusted, reaches_host=reaches_host or reach.reaches_host))
        source = CommitSource(self.path, sha, self._remote.url, server)
        try:
            self._with_repair(lambda: check_out(source, target, how))
            with self._folder.reading():
                add_submodules_and_lfs(source, target, how)
            if for_builds:
                make_reproducible(target)
        except OSError as error:
            raise as_step_error(error) from error

    def _fetch_tag(self, sha: str, tag: str) -> None:
        """Fetches the tag's object, which an annotated tag has; a tag that is gone or has moved is no error."""
        if tag and REF.fullmatch(f"refs/tags/{tag}") and self._base(sha, tag_ref(tag)) != sha:
            with self._folder.fetching():
                self._remote.fetch_if_there(sha, f"+refs/tags/{tag}:{tag_ref(tag)}", depth=self._depth)

    def _with_repair(self, read: Callable[[], _T]) -> _T:
        """The result of ``read``. If it fails, deletes a damaged mirror, fetches again, and retries."""
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

    def _read_git(self, *arguments: str) -> str:
        return self._with_repair(lambda: self._git(*arguments))

    def _git(self, *arguments: str) -> str:
        return self._run(*arguments).decode(errors="replace")

    def _run(self, *arguments: str, stdin: BinaryIO | None = None, limits: GitLimits | None = None) -> bytes:
        return run_git(["git", "--git-dir", str(self.path), *arguments], stdin=stdin, limits=limits)


def _is_commit(sha: str) -> bool:
    return is_full_id(sha) and set(sha) != {"0"}
