"""A commit that the repository does not have: its objects come as a pack, in a bare repository of its own.

Nothing of it gets into the repository's mirror: no other job can find it. What the mirror has is read from there.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.commit_id import is_full_id, object_format
from pipelines.state import Reason
from runner.errors import StepError
from runner.source.git.git import IGNORED_ERRORS, GitError, run_git
from runner.source.git.limited_git import GitLimits, NoAnswerError, TooMuchOutputError

PACK_SECONDS_MAX = 300
INDEX_BYTES_MAX = 256 * 1024**2
NAMES_BYTES_MAX = 32 * 1024**2
"""Of all paths of the commit. Chromium, one of the largest repositories, has some 500,000 files with 60 bytes each."""
_HINT = "send the tree again with `headway run --remote`"
_PACK = "objects/pack/pack-sent.pack"
_ALTERNATES = "objects/info/alternates"
# A blob that is larger than this is not kept in memory, however small it is in the pack; one thread needs it once.
_LITTLE_MEMORY = ("-c", "core.bigFileThreshold=16m", "-c", "pack.threads=1")


@dataclass(frozen=True)
class SentCommit:
    """The commit, and its parent, which the mirror has; empty where it has none."""

    commit: str
    base: str = ""


def unpack(
    sent: SentCommit, pack: Iterable[bytes], bytes_max: int, target: Path, mirror: Path,
    names_bytes_max: int = NAMES_BYTES_MAX,
) -> None:  # fmt: skip
    """Makes the bare repository ``target`` with the commit; what ``mirror`` has it reads from there.

    Git checks each object, and that nothing is missing, in limited time and memory. Raises StepError, and OSError of
    the disk and of what ``pack`` raises. ``target`` is left as it is then.
    """
    if not is_full_id(sent.commit) or (sent.base and not is_full_id(sent.base)):
        raise _refused("what was sent names no commit")
    run_git(["git", "init", "--bare", "--quiet", "--template=", f"--object-format={_format(sent)}", str(target)])
    if sent.base:
        _read_from(mirror, target)
    _write(pack, target / _PACK, bytes_max)
    _index(target)
    _check(sent, target)
    _check_size(sent, target, names_bytes_max)
    # With refs, the commits count as fetched: ``Mirror`` asks no server for them.
    for each in filter(None, (sent.commit, sent.base)):
        _git(target, "update-ref", f"refs/headway/{each}", each)


def _format(sent: SentCommit) -> str:
    return object_format(sent.commit)


def _read_from(mirror: Path, target: Path) -> None:
    alternates = target / _ALTERNATES
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{mirror / 'objects'}\n")
    if (mirror / "shallow").exists():
        shutil.copyfile(mirror / "shallow", target / "shallow")


def _write(pack: Iterable[bytes], target: Path, bytes_max: int) -> None:
    target.parent.mkdir(exist_ok=True)
    left = bytes_max
    with target.open("xb") as file:
        for piece in pack:
            left -= len(piece)
            if left < 0:
                raise _refused(f"what was sent has more than {bytes_max:,} bytes, the limit")
            file.write(piece)


def _index(target: Path) -> None:
    limits = GitLimits(time.monotonic() + PACK_SECONDS_MAX, output_bytes_max=1024, file_bytes_max=INDEX_BYTES_MAX)
    strict = "--strict=" + ",".join(f"{name}=ignore" for name in IGNORED_ERRORS)  # as in what is fetched
    command = ["git", *_LITTLE_MEMORY, "--git-dir", str(target), "index-pack", strict, str(target / _PACK)]
    try:
        run_git(command, limits=limits)
    except NoAnswerError:
        raise _refused(f"git had not read what was sent within {PACK_SECONDS_MAX} seconds") from None
    except GitError as error:
        if error.reason is Reason.DISK_FULL:
            raise
        refused = _refused("git refuses what was sent")
        refused.detail = error.detail
        raise refused from None


def _check(sent: SentCommit, target: Path) -> None:
    """The run's commit is one of those that were sent, and its only parent is the base."""
    if not _was_sent(sent, target):
        raise _refused("the commit of the run is not in what was sent")
    try:
        parents = _git(target, "rev-list", "--parents", "--max-count=1", f"{sent.commit}^{{commit}}", "--").split()[1:]
    except GitError:
        raise _refused("what was sent as the commit of the run is no commit") from None
    if parents != list(filter(None, [sent.base])):
        raise _refused("the commit that was sent has other parents than the run")


def _was_sent(sent: SentCommit, target: Path) -> bool:
    """Asked without what the mirror has. To list the objects of the pack would take memory for each of millions."""
    alternates = target / _ALTERNATES
    aside = alternates.with_name("aside")
    if sent.base:
        alternates.rename(aside)
    try:
        _git(target, "cat-file", "-e", sent.commit)
    except GitError:
        return False
    finally:
        if sent.base:
            aside.rename(alternates)
    return True


def _check_size(sent: SentCommit, target: Path, names_bytes_max: int) -> None:
    """A few trees that name each other many times are small in a pack, and have millions of files."""
    limits = GitLimits(time.monotonic() + PACK_SECONDS_MAX, output_bytes_max=names_bytes_max)
    command = ["git", "--git-dir", str(target), "ls-tree", "-r", "-z", "--name-only", sent.commit]
    try:
        run_git(command, limits=limits)
    except (TooMuchOutputError, NoAnswerError):
        most = f"{names_bytes_max:,} bytes in {PACK_SECONDS_MAX} seconds"
        raise _refused(f"the names of the files that were sent are more than can be read, {most}") from None


def _git(target: Path, *arguments: str) -> str:
    return run_git(["git", "--git-dir", str(target), *arguments]).decode(errors="replace")


def _refused(why: str) -> StepError:
    return StepError(Reason.CLONE_FAILED, f"{why}; {_HINT}")
