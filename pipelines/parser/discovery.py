"""Which files of a commit are its pipeline (PIPELINE_FILE section 1)."""

from collections.abc import Iterable

DIALECTS = (".headway", ".woodpecker")
_SUFFIXES = (".yaml", ".yml")
_OTHERS = {".drone.yml": "Drone", ".gitlab-ci.yml": "GitLab"}


def choose_files(names: Iterable[str]) -> list[str]:
    """The paths of the pipeline among all paths of a commit, sorted; empty where there is none."""
    paths = set(names)
    for dialect in DIALECTS:
        folder = sorted(path for path in paths if _is_in_folder(path, dialect))
        if folder:
            return folder
        for suffix in _SUFFIXES:
            if dialect + suffix in paths:
                return [dialect + suffix]
    return []


def strangers(names: Iterable[str]) -> str:
    """What to add to "there is no pipeline file" where the files of another system are among the paths."""
    found = [name for name in names if name in _OTHERS]
    if not found:
        return ""
    return f"; {found[0]} is read by {_OTHERS[found[0]]} alone, and docs/using/coming-from.md says how to write it here"


def _is_in_folder(path: str, folder: str) -> bool:
    parent, _, name = path.rpartition("/")
    return parent == folder and name.endswith(_SUFFIXES)


def workflow_name(path: str) -> str:
    """The workflow's name: the file's, without one suffix and one leading dot."""
    name = path.rpartition("/")[2]
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix).removeprefix(".") or path


def is_lenient(path: str) -> bool:
    """True for files in Woodpecker's places, where unknown keys and old spellings are warnings."""
    return not path.removeprefix("./").startswith(".headway")
