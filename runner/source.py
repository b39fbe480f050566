"""Where the code comes from: one bare mirror per repository, and fresh checkouts made from it.

Git runs only in folders that no step has touched, with the settings below against hostile repositories: a repository's
own files can hold configuration, hooks and addresses that would run code on the worker.
"""

import base64
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from git import Git
from git.exc import GitCommandError

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError

GIT_TIMEOUT_S = 1800
FILE_BYTES_MAX = 1024 * 1024
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# Each switch answers one way in which a repository, or the address of one, could run code or hang the worker.
_SWITCHES = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# Old and harmless flaws that many honest repositories carry in their history.
_FORGIVEN = ("zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone", "hasDotgit")


@dataclass(frozen=True)
class GitLogin:
    """Credentials for cloning over HTTP."""

    username: str
    password: str = field(repr=False)


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
        self._url = check_url(url)
        self._login = login
        name = hashlib.sha256(url.encode()).hexdigest()[:24]
        self.path = folder / f"{name}.git"
        self._lock_path = folder / f"{name}.lock"
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, sha: str, ref: str = "") -> None:
        """Brings the commit here, if it is not. Raises MachineError: clone_failed or commit_missing."""
        if not SHA.fullmatch(sha):
            raise StepError(Reason.COMMIT_MISSING, f"{sha!r} is not a commit id")
        with self._locked():
            if not (self.path / "HEAD").exists():
                self._git("init", "--bare", "--quiet", str(self.path), inside=False)
            if self.has(sha):
                return
            self._fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            for wanted in (ref, sha):
                if not self.has(sha) and wanted.startswith("refs/") | (wanted == sha):
                    self._fetch_if_there(f"+{wanted}:refs/headway/{sha}")
            if not self.has(sha):
                hint = "it may have been force-pushed away; push again or re-run a newer commit"
                raise MachineError(Reason.COMMIT_MISSING, f"the repository has no commit {sha}; {hint}")

    def has(self, sha: str) -> bool:
        """True when the commit is here with all that it needs."""
        try:
            self._git("cat-file", "-e", f"{sha}^{{commit}}")
        except GitCommandError:
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
            names = self._git("diff", "--name-only", "--no-ext-diff", "-z", previous, sha, "--")
        else:
            names = self._git("diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-m", "-z", sha, "--")
        return tuple(dict.fromkeys(name for name in names.split("\0") if name))

    def checkout(self, sha: str, target: Path, how: Checkout) -> None:
        """Lays the commit out in ``target``, which must not exist, with a ``.git`` that knows nothing of the mirror."""
        target.mkdir(parents=True)
        depth = [f"--depth={how.depth}"] if how.depth else []
        tags = ["--tags"] if how.tags else ["--no-tags"]
        with self._locked(shared=True):
            self._run(["git", "init", "--quiet", str(target)])
            at = ["git", "-C", str(target)]
            self._run([*at, "fetch", "--quiet", *depth, *tags, "--", f"file://{self.path.absolute()}", sha], local=True)
        self._run([*at, "remote", "add", "origin", _without_login(self._url)])
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
        except GitCommandError as error:
            raise self._failed(error) from error

    def _fetch_if_there(self, refspec: str) -> None:
        """Not every server gives out a commit that no branch names; then the caller finds it missing."""
        local = self._url.startswith("file://")
        arguments = ["fetch", "--quiet", "--no-tags", "--", self._url, refspec]
        try:
            self._run(["git", "--git-dir", str(self.path), *arguments], local=local, login=True)
        except GitCommandError as error:
            if "not our ref" not in str(error.stderr) and "couldn't find remote ref" not in str(error.stderr):
                raise self._failed(error) from error

    def _failed(self, error: GitCommandError) -> MachineError:
        text = " ".join(str(error.stderr).replace("stderr:", "").strip(" '\n").split())
        if "No space left on device" in text:
            return MachineError(Reason.DISK_FULL, f"the disk is full: {text}; make room and re-run")
        where = _without_login(self._url)
        return MachineError(
            Reason.CLONE_FAILED, f"cannot fetch from {where}: {text}; check the address and the credentials"
        )

    def _git(self, *arguments: str, inside: bool = True) -> str:
        return self._git_bytes(*arguments, inside=inside).decode(errors="replace")

    def _git_bytes(self, *arguments: str, inside: bool = True) -> bytes:
        where = ["--git-dir", str(self.path)] if inside else []
        return self._run(["git", *where, *arguments])

    def _run(self, command: Sequence[str], *, local: bool = False, login: bool = False) -> bytes:
        return run_git(command, local=local, login=self._login if login else None, url=self._url)


def run_git(command: Sequence[str], *, local: bool = False, login: GitLogin | None = None, url: str = "") -> bytes:
    """Runs git with the switches above; ``local`` allows addresses on this machine. Raises GitCommandError."""
    return Git(os.sep).execute(
        list(command),
        env=git_environment(local=local, login=login, url=url),
        kill_after_timeout=GIT_TIMEOUT_S,
        stdout_as_string=False,
        strip_newline_in_stdout=False,
    )


def git_environment(*, local: bool, login: GitLogin | None, url: str) -> dict[str, str]:
    """Git's whole configuration, as environment: nothing of the machine's, and no password in a command line."""
    settings = [switch.partition("=")[::2] for switch in _SWITCHES]
    settings += [(f"{part}.fsck.{name}", "ignore") for part in ("fetch", "receive") for name in _FORGIVEN]
    settings += [(f"fsck.{name}", "ignore") for name in _FORGIVEN]
    if login:
        settings.append((f"http.{_origin(url)}.extraHeader", _basic(login)))
    environment = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
        "GIT_ALLOW_PROTOCOL": "file" if local else "https:http:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "LC_ALL": "C.UTF-8",
    }
    for number, (key, value) in enumerate(settings):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def check_url(url: str) -> str:
    """The address as we hand it to git. Raises StepError for one that could be an option or run a program."""
    if url.startswith("/"):
        url = f"file://{url}"
    if re.fullmatch(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^-].*", url):
        return url
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http", "ssh", "file"} or (parts.scheme != "file" and not parts.hostname):
        allowed = "https://, http://, ssh://, file:// or user@host:path"
        raise StepError(
            Reason.CLONE_FAILED, f"{_without_login(url)!r} is no address that Headway clones from; use {allowed}"
        )
    return url


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + "/"


def _basic(login: GitLogin) -> str:
    pair = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return f"Authorization: Basic {pair}"


def _without_login(url: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", url)
