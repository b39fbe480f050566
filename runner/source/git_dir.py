"""The ``.git`` of a checkout: the same bytes for the same commit, wherever and whenever it is laid out."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from runner.source.git import run_git


def write_objects(git: Sequence[str], sha: str, target: Path, *, history: bool) -> None:
    """Writes the commit's objects, with ``history`` those of all before it too, to the ``.git`` in ``target``.

    ``git`` is a command that can read them. A fetch would unpack and digest each; this copies most as they lie there.
    What is a delta there depends on what was fetched before, and a search for deltas on how its threads race: none
    are written.
    """
    pack = ["pack-objects", "--revs", "--quiet", "--window=0", "--no-reuse-delta"]
    cut = "" if history else f"--shallow {sha}\n"
    with TemporaryFile() as wanted:
        wanted.write(f"{cut}{sha}\n".encode())
        wanted.seek(0)
        run_git([*git, *pack, str(target / ".git/objects/pack/pack")], stdin=wanted)
    if cut:
        (target / ".git" / "shallow").write_text(f"{sha}\n")


def forget_times(folder: Path) -> None:
    """Takes out of ``.git``, and of those of submodules, what tells when and where it was laid out.

    That is the log of what HEAD was, and what the index knows of files on the disk: whoever asks next has to look at
    them, as ``git status`` does and plumbing like ``git diff-index`` does not. No step may have touched the folder.
    """
    top = folder / ".git"
    for index in (top / "index", *top.glob("modules/**/index")):
        git = index.parent
        if (git / "objects").is_dir():
            shutil.rmtree(git / "logs", ignore_errors=True)
            run_git(["git", "--git-dir", str(git), "read-tree", "HEAD"])
