"""Checks out a commit from its mirror: the files, and a ``.git`` that is independent of the mirror.

Two git processes write objects and files at the same time. Git runs in a checkout only before the first step.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.commit_id import object_format
from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git import GitError, local_url, run_git
from runner.source.git_dir import WITH_MODES, write_objects
from runner.source.server import RepoServer

# No fsync: after a crash the checkout is made again. workers=0 means one per processor.
_GIT = ("git", "-c", "core.fsync=none", "-c", "checkout.workers=0")
# Without a search for deltas: that is slow, and not reproducible because its threads race.
_SAME_PACK = "--upload-pack=git -c pack.window=0 upload-pack"
# git-lfs needs these. They are not written to .git/config, because git would fail in a container without git-lfs.
_LFS = ("filter.lfs.clean=git-lfs clean -- %f", "filter.lfs.smudge=git-lfs smudge -- %f", "filter.lfs.required=true")
# The commit of a submodule may be none of its tips, and its server may give nothing but these, or no part of a history.
_NOT_AT_A_TIP = ("did not contain", "unadvertised object", "not our ref", "not valid", "does not support shallow")


@dataclass(frozen=True)
class CommitSource:
    """A commit in a mirror. ``origin`` is the repository's URL, empty if it has none.

    Submodules and LFS files may be on the repository's ``server``.
    """

    mirror: Path
    sha: str
    origin: str
    server: RepoServer


def check_out(source: CommitSource, target: Path, how: Checkout) -> None:
    """Writes the commit to ``target``, which must not exist, and removes it after an error. Raises GitError."""
    at = [*WITH_MODES, *_GIT, "-C", str(target)]
    target.mkdir(parents=True)
    target.chmod(0o755)
    try:
        run_git([*at, "init", "--quiet", "--template=", f"--object-format={object_format(source.sha)}"])
        files = [*_reading(source), "-C", str(target), "read-tree", "--reset", "-u", source.sha]
        with ThreadPoolExecutor(2, "checkout") as pool:
            objects, tree = pool.submit(_write_objects, source, target, how), pool.submit(run_git, files)
        objects.result()
        tree.result()
        if source.origin:
            run_git([*at, "remote", "add", "origin", source.origin])
        # Not with git: it would write the time to a reflog, and the checkout must be reproducible.
        (target / ".git" / "HEAD").write_text(f"{source.sha}\n")  # it exists, with its mode
    except BaseException:
        # Not shutil: folders inside each other by the thousand have more levels than Python calls itself.
        subprocess.run(["rm", "-rf", "--", str(target)], check=False)
        raise


def add_submodules_and_lfs(source: CommitSource, target: Path, how: Checkout) -> None:
    """Fetches submodules and LFS files, if the pipeline wants them. Raises GitError, StepError or MachineError."""
    if how.submodules:
        _add_submodules(source, target)
    if how.lfs:
        _add_lfs_files(source, target)


def _add_submodules(source: CommitSource, target: Path) -> None:
    at = [*WITH_MODES, *_GIT, "-C", str(target), "submodule"]
    # Forced, because of a submodule that an earlier try has cloned git would not write the files.
    update = [*at, "update", "--quiet", "--init", "--recursive", "--force"]
    try:
        # What has moved is not the same for all addresses that begin like the repository's.
        replace(source.server, moved={}).run([*update, "--depth=1"])
    except GitError as error:
        if not any(sign in error.stderr for sign in _NOT_AT_A_TIP):
            raise
        run_git([*at, "--quiet", "deinit", "--force", "--all"])
        subprocess.run(["rm", "-rf", "--", str(target / ".git/modules")], check=False)
        replace(source.server, moved={}).run([*update, "--no-recommend-shallow"])


def _write_objects(source: CommitSource, target: Path, how: Checkout) -> None:
    if how.depth > 1 or how.tags or (how.depth == 0 and (source.mirror / "shallow").exists()):
        depth = [f"--depth={how.depth}"] if how.depth else []
        tags = "--tags" if how.tags else "--no-tags"
        # The fetch into the mirror has checked every object.
        fetch = [*WITH_MODES, *_GIT, "-C", str(target), "-c", "fetch.fsckObjects=false", "fetch", "--quiet", _SAME_PACK]
        run_git([*fetch, *depth, tags, "--", local_url(source.mirror), source.sha], local=True)
        (target / ".git" / "FETCH_HEAD").unlink()
        return
    write_objects([*_reading(source), "-C", str(target)], source.sha, target, history=not how.depth)


def _reading(source: CommitSource) -> list[str]:
    """A git command that finds the mirror's objects while it runs, without writing that to ``.git``."""
    path = str(source.mirror / "objects").replace("\\", "\\\\").replace('"', '\\"')
    return [*WITH_MODES, "env", f'GIT_ALTERNATE_OBJECT_DIRECTORIES="{path}"', *_GIT]


def _add_lfs_files(source: CommitSource, target: Path) -> None:
    """Replaces LFS pointers by their files, which are cached beside the mirror."""
    storage, url = source.mirror.with_suffix(".lfs"), _lfs_url(source)
    settings = [word for each in (f"lfs.storage={storage}", f"lfs.url={url}", *_LFS) for word in ("-c", each)]
    at = [*WITH_MODES, *_GIT, "-C", str(target), *settings, "lfs"]
    try:
        replace(source.server, moved={}).run([*at, "fetch", "origin", source.sha], local=True)
        run_git([*at, "checkout"], local=True)
    except GitError as error:
        if "'lfs' is not a git command" not in error.stderr:
            raise
        hint = "install it, or remove `lfs` from the clone settings"
        raise MachineError(Reason.CLONE_FAILED, f"git-lfs is not installed on this worker; {hint}") from error


def _lfs_url(source: CommitSource) -> str:
    """The LFS server: ``lfs.url`` in the commit's .lfsconfig if it is an HTTP URL, else the repository's own server."""
    configured = _git_output(source, "config", "--blob", f"{source.sha}:.lfsconfig", "--get", "lfs.url")
    if configured:
        if urlsplit(configured).scheme not in {"http", "https"}:
            raise StepError(Reason.CLONE_FAILED, f"lfs.url in .lfsconfig is {configured!r}; use an https:// URL")
        return configured
    origin = source.server.moved_to or source.origin
    if not origin.startswith(("http://", "https://")):
        return origin
    return f"{origin.removesuffix('/').removesuffix('.git')}.git/info/lfs"


def _git_output(source: CommitSource, *arguments: str) -> str:
    """The output of a git command in the mirror; empty if it fails."""
    try:
        return run_git(["git", "--git-dir", str(source.mirror), *arguments]).decode(errors="replace").strip()
    except GitError:
        return ""
