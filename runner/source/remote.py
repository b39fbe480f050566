"""The repository that a mirror is of, as its server gives it out: all that is asked of it goes through here."""

import re
from collections.abc import Mapping

from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git import GitError, GitLogin, run_git
from runner.source.mirror_store import MirrorFolder
from runner.source.urls import check_url, split_login

# For git's protocol, a history without end.
WHOLE = 2_147_483_647
# What `git check-ref-format` allows, a little less: a refspec must not be able to name two refs.
REF = re.compile(r"refs/(?!.*(?:\.\.|//|@\{|/$))[^\x00-\x20\x7f~^:?*\[\\]+")
_NOT_THERE = ("not our ref", "couldn't find remote ref", "unadvertised object", "no such remote ref")
# A web server that hands out files and knows nothing of git can only be asked for all.
_ALL_OR_NOTHING = "does not support shallow"
# Of libcurl on GnuTLS, and on OpenSSL.
_UNTRUSTED = ("verification failed", "unable to get local issuer", "self-signed", "self signed")
_PROXY_WANTS_LOGIN = re.compile(r"(error:|code|response) 407\b")


class Origin:
    """Fetches into the folder of one mirror."""

    def __init__(self, url: str, login: GitLogin | None, folder: MirrorFolder, reach: Mapping[str, str]) -> None:
        """Raises StepError where ``url`` is none that we clone from."""
        self.url, in_url = split_login(check_url(url))
        self.login = login or in_url
        self._folder = folder
        self.reach = reach
        self._local = self.url.startswith("file://")

    def tip(self, ref: str) -> str:
        """The commit that ``ref`` is at now. Of an annotated tag it is the commit under it."""
        if not REF.fullmatch(ref):
            raise StepError(Reason.COMMIT_MISSING, f"{ref!r} is not the name of a branch or tag")
        try:
            answer = self._run("ls-remote", "--quiet", "--", self.url, ref, f"{ref}^{{}}")
        except GitError as error:
            raise self._unreachable(error) from error
        lines = answer.decode(errors="replace").splitlines()
        found = {name: sha for sha, _, name in (line.partition("\t") for line in lines)}
        sha = found.get(f"{ref}^{{}}") or found.get(ref)
        if sha is None:
            raise StepError(Reason.COMMIT_MISSING, f"the repository has no {ref}; push it, or name another")
        return sha

    def fetch_refs(self, sha: str) -> None:
        """All branches and tags with their history."""
        self.fetch(sha, "--prune", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", depth=WHOLE)

    def fetch_if_there(self, sha: str, *refspecs: str, depth: int) -> None:
        """Not every server gives out a commit that no branch names; then the caller finds it missing."""
        try:
            self.fetch(sha, *refspecs, depth=depth)
        except GitError as error:
            if not any(sign in error.said for sign in _NOT_THERE):
                raise

    def fetch(self, sha: str, *words: str, depth: int) -> None:
        """Fetches, and once more if something here was in the way; ``sha`` tells which kind of ids git uses.

        Hold the folder's ``fetching``. Raises GitError.
        """
        try:
            self._folder.make(sha)
            self._ask(*words, depth=depth)
        except GitError as error:
            if any(sign in error.said for sign in _NOT_THERE) or not self._folder.mend(sha, error):
                raise
            self._folder.make(sha)
            self._ask(*words, depth=depth)

    def _ask(self, *words: str, depth: int) -> None:
        options = [word for word in words if word.startswith("--")]
        refspecs = [word for word in words if word not in options]
        fetch = ["--git-dir", str(self._folder.path), "fetch", "--quiet", "--no-tags", "--force", *options]
        for deep in ([f"--depth={depth}"], []):
            try:
                self._run(*fetch, *deep, "--", self.url, *refspecs)
            except GitError as error:
                # Of a repository without any ref git says nothing at all.
                if deep and (_ALL_OR_NOTHING in error.said or not error.said):
                    continue
                raise self._unreachable(error) from error
            return

    def _unreachable(self, error: GitError) -> GitError:
        return GitError(f"{error.said}; {_remedy(error.said)}", before=f"cannot fetch from {self.url}")

    def _run(self, *arguments: str) -> bytes:
        return run_git(["git", *arguments], local=self._local, login=self.login, url=self.url, reach=self.reach)


def _remedy(said: str) -> str:
    low = said.lower()
    if "certificate" in low and any(sign in low for sign in _UNTRUSTED):
        return "if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE"
    if _PROXY_WANTS_LOGIN.search(low):
        return "the proxy wants a login: write it into HTTPS_PROXY and HTTP_PROXY (http://user:password@host:port)"
    return "check the address and the credentials"
