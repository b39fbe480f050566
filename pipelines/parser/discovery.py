"""Which files of a commit are its pipeline, and in which dialect. Imports quickly: ``headway run`` begins with it."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Dialect(NamedTuple):
    """Its pipeline files are all YAML files in ``folder``, or the file ``folder``.yaml or ``folder``.yml.

    Where it is lenient, unknown keys and old spellings are warnings, not errors.
    """

    folder: str
    lenient: bool


DIALECTS = (Dialect(".headway", lenient=False), Dialect(".woodpecker", lenient=True))
"""In order of precedence: the first that has files is the pipeline."""

FOLDERS = tuple(dialect.folder for dialect in DIALECTS)

DRONE_FILES = (".drone.yml", ".drone.yaml")
"""Files of Drone: one of them alone runs through the importer, see ``pipelines.importers``."""

FIRST_FILE = ".headway.yml"
"""The file that ``headway init`` writes."""

_SUFFIXES = (".yaml", ".yml")
_OTHER_SYSTEMS = {".gitlab-ci.yml": "GitLab"}
_OTHER_FILES = (
    (re.compile(r"(?:^|/)\.(?:github|gitea|forgejo)/(?:workflows|actions)/"), "GitHub Actions"),
    (re.compile(r"(?:^|/)action\.ya?ml$"), "GitHub Actions"),
    (re.compile(r"(?:^|/)\.gitlab-ci\.ya?ml$"), "GitLab CI"),
    (re.compile(r"(?:^|/)\.circleci/"), "CircleCI"),
    (re.compile(r"(?:^|/)\.travis\.ya?ml$"), "Travis CI"),
    (re.compile(r"(?:^|/)\.?azure-pipelines\.ya?ml$"), "Azure Pipelines"),
    (re.compile(r"(?:^|/)bitbucket-pipelines\.ya?ml$"), "Bitbucket Pipelines"),
    (re.compile(r"(?:^|/)\.buildkite/"), "Buildkite"),
    (re.compile(r"(?:^|/)\.cirrus\.ya?ml$"), "Cirrus CI"),
    (re.compile(r"(?:^|/)Jenkinsfile$"), "Jenkins"),
    (re.compile(r"(?:^|/)\.?appveyor\.ya?ml$"), "AppVeyor"),
    (re.compile(r"(?:^|/)cloudbuild\.(?:ya?ml|json)$"), "Google Cloud Build"),
    (re.compile(r"(?:^|/)\.tekton/"), "Tekton"),
    (re.compile(r"(?:^|/)(?:docker-)?compose(?:\.[\w.-]+)?\.ya?ml$"), "Docker Compose"),
)


def choose_files(names: Iterable[str]) -> list[str]:
    """The paths of the pipeline files among all paths of a commit, sorted. Empty if there are none."""
    paths = set(names)
    for folder in FOLDERS:
        inside = sorted(path for path in paths if _is_in_folder(path, folder))
        if inside:
            return inside
        for suffix in _SUFFIXES:
            if folder + suffix in paths:
                return [folder + suffix]
    return [path for path in DRONE_FILES if path in paths][:1]


def other_systems_hint(names: Iterable[str]) -> str:
    """A hint for the error "there is no pipeline file", if the paths include the files of another CI system."""
    found = [name for name in names if name in _OTHER_SYSTEMS]
    if not found:
        return ""
    system = _OTHER_SYSTEMS[found[0]]
    return f"; {found[0]} is read by {system} alone: `headway import {found[0]}` writes it as pipeline files of Headway"


def other_system_of(path: str) -> str:
    """The system that a file belongs to, by its path, if that is another one; else an empty text."""
    return next((system for pattern, system in _OTHER_FILES if pattern.search(path)), "")


def _is_in_folder(path: str, folder: str) -> bool:
    parent, _, name = path.rpartition("/")
    return parent == folder and name.endswith(_SUFFIXES)


def workflow_name(path: str) -> str:
    """The workflow's name: the name of its file without one suffix and one leading dot."""
    name = path.rpartition("/")[2]
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix).removeprefix(".") or path


def dialect_of(path: str) -> Dialect:
    """The dialect of a pipeline file. A file of any other name, which only ``lint`` reads, counts as Woodpecker's."""
    name = path.removeprefix("./")
    return next((dialect for dialect in DIALECTS if name.startswith(dialect.folder)), DIALECTS[-1])
