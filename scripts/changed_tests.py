"""Prints where the tests are of what was changed since a commit: a room of the code has them in the folder of its name.

    python -m scripts.changed_tests [COMMIT]

Without a commit: since the branch left its upstream, or since the last commit. What has no tests prints nothing.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
CODE = frozenset({"pipelines", "runner", "workers", "web"})
DOCUMENTS = frozenset({".md", ".yml", ".json"})


def places_of(changed: Iterable[str], root: Path = ROOT) -> list[str]:
    """The folders and modules of tests, each once and none below another, for these paths of the repository."""
    found = {each for path in changed if (each := _place_of(PurePosixPath(path), root))}
    return sorted(str(each) for each in found if not found & set(each.parents))


def _place_of(path: PurePosixPath, root: Path) -> PurePosixPath | None:
    top = path.parts[0]
    if top == "tests":
        is_module = path.name.startswith("test_") and path.suffix == ".py"
        place = path if is_module else path.parent
        return place if (root / place).exists() and place != PurePosixPath("tests") else None
    if top in CODE:
        places = [PurePosixPath("tests") / folder for folder in path.parents if folder.parts]
        return next((place for place in places if (root / place).is_dir()), None)
    return PurePosixPath("tests/docs") if path.suffix in DOCUMENTS else None


def changed_since(commit: str, root: Path = ROOT) -> list[str]:
    """Paths that differ from the commit, and new ones."""
    differing = _git(root, "diff", "--name-only", "-z", commit or _base(root), "--")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return [path for path in (differing + new).split("\0") if path]


def _base(root: Path) -> str:
    try:
        return _git(root, "merge-base", "HEAD", "@{upstream}").strip()
    except subprocess.CalledProcessError:
        return "HEAD"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    print("\n".join(places_of(changed_since(" ".join(sys.argv[1:])))))
