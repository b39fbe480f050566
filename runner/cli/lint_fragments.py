"""Finds the files among those to lint that are fragments, and lints each in a workflow that includes it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipelines.context import PipelineFile
from pipelines.linter.fragment_alone import includer_of, lint_fragment, looks_like_fragment
from pipelines.linter.linter import in_file
from pipelines.parser.discovery import DIALECTS, FOLDERS, choose_files, dialect_of
from pipelines.parser.fragments import Fragments
from pipelines.problem import Problem

LEVELS_COUNT_MAX = 32
"""So many folders above a file are looked at for the repository."""

FragmentsOf = Callable[[list[PipelineFile], Path], Fragments]
"""The fragments that files of the repository in a folder include, read from there."""


class FragmentFile(NamedTuple):
    """A fragment: its repository's folder, its path from there, and its text."""

    root: Path
    path: str
    text: bytes


def fragment_at(path: Path, pipeline_of: Callable[[Path], list[PipelineFile]], fragments_of: FragmentsOf,
                read: Callable[[Path], bytes]) -> FragmentFile | None:  # fmt: skip
    """The file as a fragment: one that the repository's pipeline includes, or one that is no workflow."""
    absolute = path.absolute()
    if choose_files([absolute.name]) or choose_files([f"{absolute.parent.name}/{absolute.name}"]):
        return None
    text = read(path)
    root = root_of(absolute)
    name = absolute.relative_to(root).as_posix()
    is_included = b"steps" in text and any(
        not each.repo and each.path == name for each in fragments_of(pipeline_of(root), root)
    )
    return FragmentFile(root, name, text) if is_included or looks_like_fragment(name, text) else None


def root_of(path: Path) -> Path:
    """The folder of the repository: the nearest with pipeline files or a .git; else the file's own."""
    for folder in list(path.parents)[:LEVELS_COUNT_MAX]:
        names = (f"{each}{suffix}" for each in FOLDERS for suffix in ("", ".yml", ".yaml"))
        if any((folder / name).exists() for name in (".git", *names)):
            return folder
    return path.parent


def lint_file(
    file: FragmentFile, given: Path, pipeline: list[PipelineFile], fragments_of: FragmentsOf
) -> tuple[list[Problem], dict[str, bytes]]:
    """Its problems, with those of fragments that it includes, and the texts by the names in the output."""
    dialect = dialect_of(pipeline[0].path) if pipeline else DIALECTS[0]
    includer = includer_of(file.path, file.text, f"{dialect.folder}.yml")
    fragments = fragments_of([includer], file.root)
    shown = {each.name: (file.root / each.path).as_posix() for each in fragments if not each.repo}
    shown[file.path] = given.as_posix()
    texts = {shown.get(each.name, each.name): found.text for each, found in fragments.items() if not found.trouble}
    texts[shown[file.path]] = file.text
    found = lint_fragment(file.path, includer, fragments)
    return [in_file(problem, shown.get(problem.file, problem.file)) for problem in found], texts
