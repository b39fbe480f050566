"""Lays a commit out from its mirror: the files, and a ``.git`` that neither shares nor names anything of the mirror.

Objects and files are written at the same time by two git processes. Git runs here only before any step has.
"""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.commit_id import object_format
from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError, StepError
from runner.source.git import GitError, GitLogin, local_url, run_git
from runner.source.git_dir import write_objects

# Steps may run as any user: what they are given must be writable for all.
_FOR_ALL = ("sh", "-c", 'umask 000; exec "$@"', "sh")
# A checkout is made anew after a crash, so it need not survive one; workers=0 means as many as there are processors.
_GIT = ("git", "-c", "core.fsync=none", "-c", "checkout.workers=0")
# A search for deltas would take longer, and find others each time, for its threads race.
_SAME_PACK = "--upload-pack=git -c pack.window=0 upload-pack"
# Without these git-lfs does nothing. They are not kept: where it is missing, git would refuse to work in the checkout.
_LFS = ("filter.lfs.clean=git-lfs clean -- %f", "filter.lfs.smudge=git-lfs smudge -- %f", "filter.lfs.required=true")


@dataclass(frozen=True)
class Source:
    """A commit in the mirror. ``origin`` is where the mirror came from, ``login`` what else may be read with.

    ``reach`` are the variables with which git reaches servers.
    """

    mirror: Path
    sha: str
    origin: str
    login: GitLogin | None
    reach: Mapping[str, str]


def lay_out(source: Source, target: Path, how: Checkout) -> None:
    """Writes the commit to ``target``, which must not exist, and does not where this fails. Raises GitError."""
    at = [*_FOR_ALL, *_GIT, "-C", str(target)]
    target.mkdir(parents=True)
    try:
        run_git([*at, "init", "--quiet", "--template=", f"--object-format={object_format(source.sha)}"])
        files = [*_reading(source), "-C", str(target), "read-tree", "--reset", "-u", source.sha]
        with ThreadPoolExecutor(2, "checkout") as pool:
            objects, tree = pool.submit(_write_objects, source, target, how), pool.submit(run_git, files)
        objects.result()
        tree.result()
        run_git([*at, "remote", "add", "origin", source.origin])
        # By hand: git would write a log with the time in it, and the same commit shall give the same files.
        (target / ".git" / "HEAD").write_text(f"{source.sha}\n")
    except BaseException:
        shutil.rmtree(target)
        raise


def add_what_is_elsewhere(source: Source, target: Path, how: Checkout) -> None:
    """Submodules and large files, where they are wanted. Raises GitError, StepError or MachineError."""
    if how.submodules:
        update = ["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"]
        command = [*_FOR_ALL, *_GIT, "-C", str(target), *update]
        run_git(command, login=source.login, url=source.origin, reach=source.reach)
    if how.lfs:
        _large_files(source, target)


def _write_objects(source: Source, target: Path, how: Checkout) -> None:
    if how.depth > 1 or how.tags or (how.depth == 0 and (source.mirror / "shallow").exists()):
        depth = [f"--depth={how.depth}"] if how.depth else []
        tags = "--tags" if how.tags else "--no-tags"
        # The mirror's fetch has looked at every object already.
        fetch = [*_FOR_ALL, *_GIT, "-C", str(target), "-c", "fetch.fsckObjects=false", "fetch", "--quiet", _SAME_PACK]
        run_git([*fetch, *depth, tags, "--", local_url(source.mirror), source.sha], local=True)
        (target / ".git" / "FETCH_HEAD").unlink()
        return
    write_objects([*_reading(source), "-C", str(target)], source.sha, target, history=not how.depth)


def _reading(source: Source) -> list[str]:
    """Git that finds the mirror's objects while it runs, and leaves no word of it."""
    path = str(source.mirror / "objects").replace("\\", "\\\\").replace('"', '\\"')
    return [*_FOR_ALL, "env", f'GIT_ALTERNATE_OBJECT_DIRECTORIES="{path}"', *_GIT]


def _large_files(source: Source, target: Path) -> None:
    """Puts files that LFS keeps in place of their pointers. The mirror keeps what came, for the next time."""
    storage, url = source.mirror.with_suffix(".lfs"), _lfs_url(source)
    settings = [word for each in (f"lfs.storage={storage}", f"lfs.url={url}", *_LFS) for word in ("-c", each)]
    at = [*_FOR_ALL, *_GIT, "-C", str(target), *settings, "lfs"]
    try:
        fetch = [*at, "fetch", "origin", source.sha]
        run_git(fetch, local=True, login=source.login, url=source.origin, reach=source.reach)
        run_git([*at, "checkout"], local=True)
    except GitError as error:
        if "'lfs' is not a git command" not in error.said:
            raise
        hint = "install it, or take `lfs` out of the clone settings"
        raise MachineError(Reason.CLONE_FAILED, f"git-lfs is not installed on this worker; {hint}") from error


def _lfs_url(source: Source) -> str:
    """Where the large files are: the commit's own word counts where it leads to a web server, never to this machine."""
    said = _said_by(source, "config", "--blob", f"{source.sha}:.lfsconfig", "--get", "lfs.url")
    if said:
        if urlsplit(said).scheme not in {"http", "https"}:
            raise StepError(Reason.CLONE_FAILED, f".lfsconfig names {said!r} as lfs.url; use an https:// address")
        return said
    if not source.origin.startswith(("http://", "https://")):
        return source.origin
    return f"{source.origin.removesuffix('/').removesuffix('.git')}.git/info/lfs"


def _said_by(source: Source, *arguments: str) -> str:
    """What git answers of the mirror; empty where it has nothing to say."""
    try:
        return run_git(["git", "--git-dir", str(source.mirror), *arguments]).decode(errors="replace").strip()
    except GitError:
        return ""
