"""Where the code comes from: one bare mirror per repository, and fresh checkouts made from it.

Git runs only in folders that no step has touched, with the settings below against hostile repositories: a repository's
own files can hold configuration, hooks and addresses that would run code on the worker.
"""

import fcntl
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.gitrun import GitError, GitLogin, local_url, run_git, without_login

FILE_BYTES_MAX = 1024 * 1024
# What `git check-ref-format` allows, a little less: a refspec must not be able to name two refs.
_REF = re.compile(r"refs/(?!.*(?:\.\.|//|@\{|/$))[^\x00-\x20\x7f~^:?*\[\\]+")
_NOT_THERE = ("not our ref", "couldn't find remote ref", "unadvertised object")
_SHORT = re.compile(r"[0-9a-f]{7,}")
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Commit:
    """What git knows of a commit. ``timestamp_s`` is the author's, in seconds since 1970."""

    sha: str
    message: str
    author: str
    author_email: str
    timestamp_s: int


class Mirror:
    """The bare mirror of one repository in ``folder``, shared by all jobs of this worker's machine."""

    def __init__(self, folder: Path, url: str, login: GitLogin | None = None) -> None:
        """Raises StepError where ``url`` is none that we clone from."""
        self._url, self._login = split_login(check_url(url))
        self._login = login or self._login
        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        self.path = folder / f"{name}.git"
        self._lock_path = folder / f"{name}.lock"
        folder.mkdir(parents=True, exist_ok=True)

    def resolve(self, short: str, ref: str) -> str:
        """The whole id of a commit of which a forge names only the beginning; ``ref`` is where it was pushed."""
        if SHA.fullmatch(short):
            return short
        if not _SHORT.fullmatch(short) or not _REF.fullmatch(ref):
            raise StepError(Reason.COMMIT_MISSING, f"{short!r} is not a commit id")
        with self._locked():
            self._make()
            self._fetch(f"+{ref}:refs/headway/{short}")
            try:
                return self._git("rev-parse", "--verify", "--quiet", f"{short}^{{commit}}").strip()
            except GitError as error:
                raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {short} on {ref}") from error

    def fetch(self, sha: str, ref: str = "") -> None:
        """Brings the commit here, if it is not. Raises MachineError: clone_failed or commit_missing."""
        if not SHA.fullmatch(sha):
            raise StepError(Reason.COMMIT_MISSING, f"{sha!r} is not a commit id")
        with self._locked():
            self._make()
            if self.has(sha):
                return
            self._fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            for wanted in (ref, sha):
                if not self.has(sha) and (wanted == sha or _REF.fullmatch(wanted)):
                    self._fetch_if_there(f"+{wanted}:refs/headway/{sha}")
            if not self.has(sha):
                hint = "it may have been force-pushed away; push again or re-run a newer commit"
                raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {sha}; {hint}")

    def _make(self) -> None:
        if not (self.path / "HEAD").exists():
            self._git("init", "--bare", "--quiet", str(self.path), inside=False)

    def has(self, sha: str) -> bool:
        """True when the commit is here with all that it needs: a fetch that was killed may have left a part of it."""
        try:
            self._git("rev-list", "--objects", "--quiet", f"{sha}^{{commit}}", "--not", "--all", "--")
        except GitError:
            return False
        return True

    def commit(self, sha: str) -> Commit:
        """The commit's message, author and time; bytes that are not UTF-8 are replaced."""
        text = self._git("show", "-s", "--no-show-signature", "--format=%an%x00%ae%x00%at%x00%B", sha, "--")
        author, email, timestamp, message = text.split("\0", 3)
        return Commit(sha, message.strip(), author, email, int(timestamp or 0))

    def files(self, sha: str) -> list[str]:
        """Paths in the commit's root and in its pipeline folders: where pipeline files and Dockerfiles can be."""
        roots = self._git("ls-tree", "-z", "--name-only", sha).split("\0")
        folders = self._git("ls-tree", "-z", "--name-only", sha, ".headway/", ".woodpecker/").split("\0")
        return [name for name in [*roots, *folders] if name]

    def read(self, sha: str, path: str) -> bytes:
        """A file of the commit. Raises StepError where it is larger than a pipeline file has any need to be."""
        size = int(self._git("cat-file", "-s", f"{sha}:{path}"))
        if size > FILE_BYTES_MAX:
            raise StepError(Reason.INVALID_PIPELINE, f"{path} has {size:,} bytes; the limit is {FILE_BYTES_MAX:,}")
        return self._git_bytes("cat-file", "blob", f"{sha}:{path}")

    def changed_files(self, sha: str, previous: str) -> tuple[str, ...]:
        """Paths that differ from ``previous``, or from the commit's parent where that is unknown here."""
        if SHA.fullmatch(previous) and set(previous) != {"0"} and self.has(previous):
            names = self._git("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", previous, sha, "--")
        else:
            names = self._git("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-m", "-z", sha, "--")
        return tuple(dict.fromkeys(name for name in names.split("\0") if name))

    def checkout(self, sha: str, target: Path, how: Checkout) -> None:
        """Lays the commit out in ``target``, which must not exist, with a ``.git`` that knows nothing of the mirror."""
        target.mkdir(parents=True)
        try:
            self._lay_out(sha, target, how)
        except GitError as error:
            raise GitError(error.said, before=f"the commit {sha} could not be laid out") from error

    def _lay_out(self, sha: str, target: Path, how: Checkout) -> None:
        depth = [f"--depth={how.depth}"] if how.depth else []
        tags = ["--tags"] if how.tags else ["--no-tags"]
        with self._locked(shared=True):
            self._run(["git", "init", "--quiet", "--template=", str(target)])
            at = ["git", "-C", str(target)]
            self._run([*at, "fetch", "--quiet", *depth, *tags, "--", local_url(self.path), sha], local=True)
        (target / ".git" / "FETCH_HEAD").unlink()
        self._run([*at, "remote", "add", "origin", self._url])
        # Steps may run as any user: what they are given must be writable for all.
        self._run(["sh", "-c", 'umask 000; exec "$@"', "sh", *at, "checkout", "--quiet", "--detach", sha], local=True)
        if how.submodules:
            self._run([*at, "submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"])

    @contextmanager
    def _locked(self, *, shared: bool = False) -> Iterator[None]:
        with self._lock_path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield

    def _fetch(self, *refspecs: str) -> None:
        local = self._url.startswith("file://")
        arguments = ["fetch", "--quiet", "--prune", "--no-tags", "--force", "--", self._url, *refspecs]
        try:
            self._run(["git", "--git-dir", str(self.path), *arguments], local=local, login=True)
        except GitError as error:
            raise self._failed(error) from error

    def _fetch_if_there(self, refspec: str) -> None:
        """Not every server gives out a commit that no branch names; then the caller finds it missing."""
        local = self._url.startswith("file://")
        arguments = ["fetch", "--quiet", "--no-tags", "--", self._url, refspec]
        try:
            self._run(["git", "--git-dir", str(self.path), *arguments], local=local, login=True)
        except GitError as error:
            if not any(sign in error.said for sign in _NOT_THERE):
                raise self._failed(error) from error

    def _failed(self, error: GitError) -> GitError:
        return GitError(f"{error.said}; check the address and the credentials", before=f"cannot fetch from {self._url}")

    def _git(self, *arguments: str, inside: bool = True) -> str:
        return self._git_bytes(*arguments, inside=inside).decode(errors="replace")

    def _git_bytes(self, *arguments: str, inside: bool = True) -> bytes:
        where = ["--git-dir", str(self.path)] if inside else []
        return self._run(["git", *where, *arguments])

    def _run(self, command: Sequence[str], *, local: bool = False, login: bool = False) -> bytes:
        return run_git(command, local=local, login=self._login if login else None, url=self._url)


def check_url(url: str) -> str:
    """The address as we hand it to git. Raises StepError for one that could be an option or run a program."""
    if url.startswith("/"):
        url = local_url(Path(url))
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-].*", url):
        return url
    parts = _parts(url)
    if parts is None or (parts.scheme != "file" and not re.match(r"[A-Za-z0-9:]", parts.hostname or "")):
        allowed = "https://, http://, ssh://, file:// or user@host:path"
        shown = without_login(url)
        raise StepError(Reason.CLONE_FAILED, f"{shown!r} is no address that Headway clones from; use {allowed}")
    return url


def _parts(url: str) -> SplitResult | None:
    if not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    strange_user = (parts.username or "").startswith("-")
    return parts if parts.scheme in {"https", "http", "ssh", "file"} and not strange_user else None


def split_login(url: str) -> tuple[str, GitLogin | None]:
    """The address without the credentials in it: on a command line everybody on the machine could read them."""
    if not url.startswith(("http://", "https://")):
        return url, None
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    return without_login(url), GitLogin(unquote(parts.username), unquote(parts.password or ""))
