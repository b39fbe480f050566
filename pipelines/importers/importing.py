"""Imports files of other CI systems: which system a file is of, and what it is here."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from pipelines.context import PipelineFile
from pipelines.importers.drone.documents import import_drone
from pipelines.importers.github.workflows import import_github
from pipelines.importers.gitlab.workflows import import_gitlab
from pipelines.importers.remarks import Remarks
from pipelines.parser.decoding import decode
from pipelines.problem import Level, Problem
from pipelines.syntax.diagnostics import WHOLE_FILE

SYSTEMS = ("drone", "gitlab", "github")
"""The systems that files can be imported from."""

KNOWN = "Drone, GitLab CI or GitHub Actions"
"""Their names, for sentences."""

_BY_PATH = (
    (re.compile(r"(?:^|/)\.drone(?:\.[\w-]+)?\.ya?ml$"), "drone"),
    (re.compile(r"(?:^|/)[\w.-]*\.gitlab-ci\.ya?ml$|(?:^|/)\.gitlab/"), "gitlab"),
    (re.compile(r"(?:^|/)\.(?:github|gitea|forgejo)/workflows/"), "github"),
)
_BY_CONTENT = (
    (re.compile(r"^kind: *pipeline\b|^pipeline:", re.MULTILINE), "drone"),
    (re.compile(r"^[\"']?on[\"']?:(?:.|\n)*^jobs:|^jobs:(?:.|\n)*^[\"']?on[\"']?:", re.MULTILINE), "github"),
    (re.compile(r"^stages:|^ +(?:script|before_script):", re.MULTILINE), "gitlab"),
)


class Imported(NamedTuple):
    """The new files, and the remarks in the order of the old ones and of their lines."""

    files: tuple[PipelineFile, ...]
    remarks: tuple[Problem, ...]

    @property
    def failed(self) -> bool:
        """Is something essential missing?"""
        return any(remark.level is Level.ERROR for remark in self.remarks)


Include = Callable[[str, str], bytes | None]
"""Reads a file that another includes: the bytes of the second path, seen from the folder of the first; None if there
is none. The first is the path of the file that includes it; one of GitHub Actions as if it were in the root."""

Import = Callable[[str, str, Remarks, Include], list[PipelineFile]]
_IMPORTS: dict[str, Import] = {
    "drone": lambda path, text, remarks, _include: import_drone(path, text, remarks),
    "gitlab": lambda path, text, remarks, include: import_gitlab(path, text, remarks, partial(include, path)),
    "github": lambda path, text, remarks, include: import_github(path, text, remarks, partial(include, _in_root(path))),
}


def _in_root(path: str) -> str:
    """The path of a workflow of GitHub Actions as if it were in the root of its repository."""
    return re.sub(r"(^|/)\.(?:github|gitea|forgejo)/workflows/(?=[^/]*$)", r"\1", path)


def system_of(path: str, text: str) -> str:
    """The system that a file is of, by its path, else by its content; an empty text if it is none of them."""
    by_path = next((system for pattern, system in _BY_PATH if pattern.search(path)), "")
    return by_path or next((system for pattern, system in _BY_CONTENT if pattern.search(text)), "")


def no_includes(_source: str, _name: str) -> bytes | None:
    """Where no file may include another."""
    return None


def import_files(files: Sequence[PipelineFile], system: str = "", include: Include = no_includes) -> Imported:
    """Imports the files, of ``system`` or of what each seems to be."""
    made: list[PipelineFile] = []
    remarks: list[Problem] = []
    for file in files:
        found = Remarks(file.path)
        for new in _import(file, system, found, include):
            if any(new.path == each.path for each in made):
                found.error(WHOLE_FILE, f"another file became {new.path} already; it is left out", "import it alone")
            else:
                made.append(new)
        remarks += found.problems
    return Imported(tuple(made), tuple(remarks))


def _import(file: PipelineFile, system: str, remarks: Remarks, include: Include) -> list[PipelineFile]:
    source = decode(file.text, remarks.diagnostics)
    if source is None:
        return []
    chosen = system or system_of(file.path, source.text)
    if chosen not in _IMPORTS:
        remarks.no_pipeline(WHOLE_FILE, f"this is no file of {KNOWN}")
        return []
    return _IMPORTS[chosen](file.path, source.text, remarks, include)
