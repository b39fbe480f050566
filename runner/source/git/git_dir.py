"""Writes the ``.git`` of a checkout reproducibly: the same bytes for the same commit, so that build caches work."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from runner.source.git.git import run_git

# Files have git's modes, 644 and 755, whatever the umask of this process.
WITH_MODES = ("sh", "-c", 'umask 022; exec "$@"', "sh")


def write_objects(git: Sequence[str], sha: str, target: Path, *, history: bool) -> None:
    """Writes the commit's objects, with ``history`` those of its ancestors too, to the ``.git`` in ``target``.

    ``git`` is a command that can read the objects. A fetch would unpack and hash each object; this copies most of them
    as they are. It writes no deltas: existing deltas depend on earlier fetches, and new ones on how git's threads race.
    """
    pack = ["pack-objects", "--revs", "--quiet", "--window=0", "--no-reuse-delta"]
    cut = "" if history else f"--shallow {sha}\n"
    with TemporaryFile() as wanted:
        wanted.write(f"{cut}{sha}\n".encode())
        wanted.seek(0)
        run_git([*git, *pack, str(target / ".git/objects/pack/pack")], stdin=wanted)
    if cut:
        shallow = target / ".git" / "shallow"
        shallow.write_text(f"{sha}\n")
        shallow.chmod(0o644)
