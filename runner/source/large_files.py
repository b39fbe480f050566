"""Puts the files of LFS in the place of their pointers: in a checkout and in its submodules."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git.git import GitError, run_git
from runner.source.git.git_dir import WITH_MODES
from runner.source.git.git_failures import Failure
from runner.source.git.git_words import without_login
from runner.source.git.reach import WORKERS_OWN
from runner.source.git.server import PermanentGitError, RepoServer, TransientGitError

if TYPE_CHECKING:
    from runner.source.lfs_gateway import LfsGateway

# For git-lfs itself, on this machine.
_FILTERS = (
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.required=true",
)
# For git in steps, whose image may have no git-lfs: without a filter it would take each large file for a changed one.
_CLEAN = (
    'if command -v git-lfs >/dev/null 2>&1; then git-lfs clean -- %f; else t=$(mktemp) && cat >"$t" && '
    'if [ "$(head -c 42 "$t" | tr -d "\\0")" = "version https://git-lfs.github.com/spec/v1" ]; then cat "$t"; else '
    'printf "version https://git-lfs.github.com/spec/v1\\noid sha256:%%s\\nsize %%d\\n" '
    '"$(sha256sum <"$t" | cut -d" " -f1)" "$(wc -c <"$t")"; fi; s=$?; rm -f "$t"; (exit $s); fi'
)
_SMUDGE = "if command -v git-lfs >/dev/null 2>&1; then git-lfs smudge -- %f; else cat; fi"

_NEED_LOGIN, _WAIT_STATUSES, _SERVER_ERRORS = frozenset({401, 403}), frozenset({408, 425, 429}), 500


def add_lfs_files(server: RepoServer, target: Path, storage: Path) -> None:
    """Raises GitError, StepError and MachineError. ``storage`` caches the files."""
    _add(server, target, storage, "")
    for folder in submodules_of(target):
        _add(server, folder, storage, _says(folder, "remote", "get-url", "origin"))


def submodules_of(target: Path) -> list[Path]:
    """The folders of all submodules that are checked out, with theirs."""
    if not (target / ".gitmodules").is_file():
        return []
    show = 'printf "%s/%s\\0" "$toplevel" "$sm_path"'
    output = run_git(["git", "-C", str(target), "submodule", "--quiet", "foreach", "--recursive", show])
    return [Path(os.fsdecode(each)) for each in output.split(b"\0")[:-1]]


def _add(server: RepoServer, folder: Path, storage: Path, origin: str) -> None:
    if not uses_lfs(folder):
        return
    configured = _configured(server, folder)
    url = configured or _beside(origin or server.moved_to or server.url)
    # Where the repository's own server keeps its files, and where it has moved to, is its own choice.
    own = not (configured or origin) or server.reach.is_own(url)
    server = replace(server, moved={})
    if server.reach.reaches_host or own:
        _fetch(server, folder, storage, url)
    elif not url.startswith(("http://", "https://")):
        hint = "LFS files of another server come by https:// alone; set lfs.url in the .lfsconfig of this submodule"
        raise StepError(Reason.CLONE_FAILED, f"cannot fetch LFS files from {url!r}: {hint}")
    else:
        from runner.source.lfs_gateway import lfs_gateway  # noqa: PLC0415 - it loads an HTTP server, and few need it

        with lfs_gateway(url, server.reach, server.egress) as gateway:
            try:
                _fetch(server, folder, storage, gateway.url)
            except GitError as error:
                raise _of_gateway(gateway, error) from error
    keep_clean(folder)


def _fetch(server: RepoServer, folder: Path, storage: Path, url: str) -> None:
    at = [*WITH_MODES, "git", "-C", str(folder)]
    settings = (f"lfs.storage={storage}", f"lfs.url={url}", *_FILTERS, "filter.lfs.required=true")
    lfs = [*at, *(word for each in settings for word in ("-c", each)), "lfs"]
    try:
        server.run([*lfs, "fetch", "origin", _says(folder, "rev-parse", "HEAD")], local=True)
        run_git([*lfs, "checkout"], local=True)
    except GitError as error:
        if "'lfs' is not a git command" not in error.stderr:
            raise
        hint = "install it, or write `lfs: false` in the settings of `clone`"
        raise MachineError(Reason.CLONE_FAILED, f"git-lfs is not installed on this worker; {hint}") from error


def _of_gateway(gateway: "LfsGateway", error: GitError) -> StepError:
    """What the failure means: git-lfs knows no more than the gateway has answered it."""
    subject = f"cannot fetch LFS files from {without_login(gateway.server)}"
    if gateway.closed:
        where = f"the server sends to {without_login(gateway.closed)!r}"
        return StepError(Reason.CLONE_FAILED, f"{subject}: {where}; {WORKERS_OWN}")
    if gateway.trouble:
        return TransientGitError(error.detail, Failure(f"{subject}: {gateway.trouble}", transient=True))
    status = gateway.status
    if status in _NEED_LOGIN:
        what = "another LFS server than the repository's own is asked without a login"
        return PermanentGitError(error.detail, Failure(f"{subject}: it refuses (status {status}); {what}"))
    if status >= _SERVER_ERRORS or status in _WAIT_STATUSES:
        return TransientGitError(error.detail, Failure(f"{subject}: it answers with status {status}", transient=True))
    return error


def uses_lfs(folder: Path) -> bool:
    """Whether the commit has files of LFS."""
    return bool(_says(folder, "grep", "-l", "-e", "filter=lfs", "HEAD", "--", ":(top,glob)**/.gitattributes"))


def keep_clean(folder: Path) -> None:
    """Lets git take a file of LFS for what its pointer says, with git-lfs in the step's image and without.

    Called when the files are there: the index must not know the sizes of their pointers.
    """
    for name, value in (("clean", _CLEAN), ("smudge", _SMUDGE)):
        run_git([*WITH_MODES, "git", "-C", str(folder), "config", f"filter.lfs.{name}", value])
    run_git([*WITH_MODES, "git", "-C", str(folder), "read-tree", "HEAD"])


def _configured(server: RepoServer, folder: Path) -> str:
    """``lfs.url`` in the commit's .lfsconfig, empty if there is none. It counts before all else in that file."""
    configured = _says(folder, "config", "--blob", "HEAD:.lfsconfig", "--get", "lfs.url")
    if configured and urlsplit(configured).scheme not in {"http", "https"}:
        raise StepError(Reason.CLONE_FAILED, f"lfs.url in .lfsconfig is {configured!r}; use an https:// URL")
    if configured and (why := server.reach.refusal(configured)):
        raise StepError(Reason.CLONE_FAILED, f"lfs.url in .lfsconfig is {configured!r}: {why}")
    return configured


def _beside(origin: str) -> str:
    """The LFS server of the repository at this address."""
    if not origin.startswith(("http://", "https://")):
        return origin
    return f"{origin.removesuffix('/').removesuffix('.git')}.git/info/lfs"


def _says(folder: Path, *arguments: str) -> str:
    """The output of a git command; empty if it fails."""
    try:
        return run_git(["git", "-C", str(folder), *arguments]).decode(errors="replace").strip()
    except GitError:
        return ""
