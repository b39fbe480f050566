"""The remote repository of a mirror: all requests to its server."""

import re
from collections.abc import Mapping

from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GitError, GitLogin
from runner.source.git.limited_git import TooMuchOutputError
from runner.source.git.reach import OPEN
from runner.source.git.server import PermanentGitError, RepoServer, TransientGitError
from runner.source.git.urls import check_url, split_login
from runner.source.mirrors.mirror_store import MirrorStore

# In git's protocol this depth means the whole history.
WHOLE = 2_147_483_647
# A little stricter than `git check-ref-format`: a name must not contain two refs or a refspec.
REF = re.compile(r"refs/(?!.*(?:\.\.|//|@\{|/$))[^\x00-\x20\x7f~^:?*\[\\]+")
_NOT_THERE = ("not our ref", "couldn't find remote ref", "unadvertised object", "no such remote ref")
# A plain web server without git support (dumb HTTP) can only serve the whole history.
_ALL_OR_NOTHING = "does not support shallow"


def listed_refs(answer: bytes) -> dict[str, str]:
    """What each ref points to, from what ``git ls-remote`` has printed.

    Only a newline ends a line. Names may have other separators in them, such as U+2028: with ``str.splitlines`` a
    branch whose name is "main", a separator and more would count as main.
    """
    lines = (line.decode(errors="replace").partition("\t") for line in answer.split(b"\n"))
    return {name: sha for sha, tab, name in lines if tab}


class Remote:
    """Fetches from a remote repository into the folder of its mirror."""

    def __init__(
        self,
        url: str,
        login: GitLogin | None,
        folder: MirrorStore,
        egress: Mapping[str, str],
        name: str,
        foreign: ForeignServer | None = None,
    ) -> None:
        """Raises StepError if Headway does not clone from ``url``. ``name`` is the repository's, for messages."""
        self.url, in_url = split_login(check_url(url))
        self.login = login or in_url
        self._folder = folder
        self.server = RepoServer(self.url, self.login, egress, name, foreign=foreign)
        self.server.reach = foreign.reach if foreign else OPEN
        self._local = self.url.startswith("file://")

    def tip(self, ref: str) -> str:
        """The commit that ``ref`` points to now; for an annotated tag, the commit that the tag points to."""
        if not REF.fullmatch(ref):
            raise StepError(Reason.COMMIT_MISSING, f"{ref!r} is not the name of a branch or tag")
        found = listed_refs(self._run("ls-remote", "--quiet", "--", self.url, ref, f"{ref}^{{}}"))
        sha = found.get(f"{ref}^{{}}") or found.get(ref)
        if sha is None:
            raise StepError(Reason.COMMIT_MISSING, f"the repository has no {ref}; push it, or name another")
        return sha

    def tips(self) -> dict[str, str]:
        """The object that each branch and tag points to now; for an annotated tag also, under its name and ``^{}``,
        the commit.
        """
        return listed_refs(self._run("ls-remote", "--quiet", "--heads", "--tags", "--", self.url))

    def fetch_refs(self, sha: str) -> None:
        """Fetches all branches and tags with their history."""
        self.fetch(sha, "--prune", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", depth=WHOLE)

    def fetch_tags(self, sha: str) -> None:
        """Fetches all tags with their history."""
        self.fetch(sha, "--prune", "+refs/tags/*:refs/tags/*", depth=WHOLE)

    def fetch_once(self, *refspecs: str) -> None:
        """Fetches with the whole history, without looking for damage in the mirror if it fails. Raises GitError."""
        self._fetch_once(*refspecs, depth=WHOLE)

    def fetch_if_there(self, sha: str, *refspecs: str, depth: int) -> None:
        """Fetches, and ignores it if the server does not have the commit or only serves the tips of branches."""
        try:
            self.fetch(sha, *refspecs, depth=depth)
        except GitError as error:
            if not any(sign in error.stderr for sign in _NOT_THERE):
                raise

    def fetch(self, sha: str, *words: str, depth: int) -> None:
        """Fetches, and retries once if the mirror was damaged; ``sha`` determines the hash function of a new mirror.

        Hold the folder's ``fetching``. Raises GitError.
        """
        try:
            self._folder.create(sha)
            self._fetch_once(*words, depth=depth)
        except MachineError as error:
            self._check_size(self._folder.drop_unfinished())
            if not isinstance(error, GitError):
                raise
            # To look for damage means to read every object.
            explained = isinstance(error, TransientGitError | PermanentGitError) and error.explained
            if explained or not self._folder.repair(sha, error):
                raise
            self._folder.create(sha)
            self._fetch_once(*words, depth=depth)

    def _check_size(self, received_bytes: int) -> None:
        """Raises TooMuchOutputError where git was ended for what it received: the kernel does it, and git is silent."""
        if self.server.foreign and received_bytes >= (most := self.server.foreign.limits.file_bytes_max):
            raise TooMuchOutputError(Reason.CLONE_FAILED, f"the repository has more than {most:,} bytes to fetch")

    def _fetch_once(self, *words: str, depth: int) -> None:
        options = [word for word in words if word.startswith("--")]
        refspecs = [word for word in words if word not in options]
        # As one file, however few objects it has: the limit of a foreign server is for each file.
        packed = ["-c", "fetch.unpackLimit=1"] if self.server.foreign else []
        fetch = [*packed, "--git-dir", str(self._folder.path), "fetch", "--quiet", "--no-tags", "--force", *options]
        for deep in ([f"--depth={depth}"], []):
            try:
                self._run(*fetch, *deep, "--", self.url, *refspecs)
            except GitError as error:
                # For a repository without refs git fails without a message.
                if deep and (_ALL_OR_NOTHING in error.stderr or not error.stderr):
                    continue
                raise
            return

    def _run(self, *arguments: str) -> bytes:
        return self.server.run(["git", *arguments], local=self._local)
