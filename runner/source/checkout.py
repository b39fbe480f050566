"""Checks out a commit from its mirror: the files, and a ``.git`` that is independent of the mirror.

Two git processes write objects and files at the same time. Git runs in a checkout only before the first step.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile

from pipelines.commit_id import object_format
from pipelines.plan import Checkout
from runner.source.git.git import GitError, local_url, run_git
from runner.source.git.git_dir import WITH_MODES, write_objects
from runner.source.git.server import RepoServer
from runner.source.git.urls import check_url
from runner.source.large_files import add_lfs_files
from runner.source.submodules import add_submodules

# No fsync: after a crash the checkout is made again. workers=0 means one per processor.
_GIT = ("git", "-c", "core.fsync=none", "-c", "checkout.workers=0")
# Without a search for deltas: that is slow, and not reproducible because its threads race.
_SAME_PACK = "--upload-pack=git -c pack.window=0 upload-pack"


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
        if how.tag:
            _write_tag(source, target, how.tag)
        # Not with git: it would write the time to a reflog, and the checkout must be reproducible.
        (target / ".git" / "HEAD").write_text(f"{source.sha}\n")  # it exists, with its mode
    except BaseException:
        # Not shutil: folders inside each other by the thousand have more levels than Python calls itself.
        subprocess.run(["rm", "-rf", "--", str(target)], check=False)
        raise


def add_submodules_and_lfs(source: CommitSource, target: Path, how: Checkout) -> None:
    """Fetches submodules and LFS files, if the pipeline wants them. Raises GitError, StepError or MachineError."""
    if how.submodules:
        urls = {name: check_url(url) for name, url in how.submodule_urls.items()}
        git = [*WITH_MODES, *_GIT]
        add_submodules(source.server, git, target, urls, newest=how.submodules_newest)
    if how.lfs:
        add_lfs_files(source.server, target, source.mirror.with_suffix(".lfs"))


def _write_tag(source: CommitSource, target: Path, tag: str) -> None:
    """Writes the tag of the run: as it is in the mirror, or a plain one where that is of another commit by now."""
    at = [*WITH_MODES, *_GIT, "-C", str(target)]
    found = _git_output(source, "rev-parse", "--verify", "--quiet", tag_ref(tag))
    if _git_output(source, "rev-parse", "--verify", "--quiet", f"{found}^{{commit}}") != source.sha:
        found = source.sha
    each = found
    while each != source.sha:
        content = run_git(["git", "--git-dir", str(source.mirror), "cat-file", "tag", each])
        with TemporaryFile() as given:
            given.write(content)
            given.seek(0)
            run_git([*at, "hash-object", "-t", "tag", "-w", "--literally", "--stdin"], stdin=given)
        each = content.split(b"\n", 1)[0].removeprefix(b"object ").decode()
    run_git([*at, "update-ref", f"refs/tags/{tag}", found])


def tag_ref(tag: str) -> str:
    """Where the mirror keeps the object of a tag: not under its name, which may lie below that of another."""
    return f"refs/headway/tag-{sha256(tag.encode(errors='surrogateescape')).hexdigest()}"


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


def _git_output(source: CommitSource, *arguments: str) -> str:
    """The output of a git command in the mirror; empty if it fails."""
    try:
        return run_git(["git", "--git-dir", str(source.mirror), *arguments]).decode(errors="replace").strip()
    except GitError:
        return ""
