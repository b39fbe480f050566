"""The problems of an open document, as `headway lint` finds them; other open documents count as they are shown."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Never

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.parser.discovery import DRONE_FILES, FOLDERS, choose_files
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments, may_include
from pipelines.problem import Level, Problem
from pipelines.state import Reason
from runner.cli.fragments import read_file
from runner.cli.lint import other_workflows, pipeline_names
from runner.cli.lint_fragments import FragmentFile, lint_file, root_of
from runner.errors import StepError
from runner.source.pipeline_file import read_pipeline_file

Opened = Mapping[Path, bytes]
_ELSEWHERE = "the editor shows no fragments of other repositories; `headway lint` reads them"


class _OtherRepositories:
    """Reads no other repository: an editor opens files of anyone, and shall not ask servers that these name."""

    def read(self, address: Address) -> Never:
        raise StepError(Reason.INVALID_PIPELINE, f"{address.name}: {_ELSEWHERE}")


def is_workflow(path: Path) -> bool:
    """Is it a pipeline file of Headway or Woodpecker, by its name?"""
    deep = f"{path.parent.name}/{path.name}"
    return path.name not in DRONE_FILES and bool(choose_files([path.name]) or choose_files([deep]))


def problems_of(path: Path, opened: Opened) -> list[Problem] | None:
    """The problems of a document; None where it is neither a workflow nor a fragment of the repository's pipeline."""
    if is_workflow(path):
        root = path.parent.parent if path.parent.name in FOLDERS else path.parent
        name = path.relative_to(root).as_posix()
        files = [PipelineFile(name, opened[path])]
        others = other_workflows(root, [name])
        return [_shown(each, name) for each in lint_files(files, other_workflows=others,
                                                          fragments=_fragments(opened, files, root))]  # fmt: skip
    root = root_of(path)
    name = path.relative_to(root).as_posix()
    pipeline = [PipelineFile(each, _read(opened, root, each)) for each in choose_files(pipeline_names(root))]
    if Address(name) not in _fragments(opened, pipeline, root):
        return None
    found, _ = lint_file(FragmentFile(root, name, opened[path]), path, pipeline, partial(_fragments, opened))
    return [_shown(each, path.as_posix()) for each in found]


def _fragments(opened: Opened, files: list[PipelineFile], root: Path) -> Fragments:
    if not any(may_include(file.text.decode(errors="replace")) for file in files):
        return NO_FRAGMENTS
    from runner.source.fragments import read_fragments  # loads much of git

    return read_fragments(files, partial(_read, opened, root), _OtherRepositories())


def _read(opened: Opened, root: Path, name: str) -> bytes:
    if (text := opened.get(root / name)) is not None:
        return text
    return read_pipeline_file(root / name) if is_workflow(root / name) else read_file(root, name)


def _shown(problem: Problem, name: str) -> Problem:
    """What is wrong in another file is shown at the beginning; what only the editor does not know is a hint."""
    level = Level.HINT if _ELSEWHERE in problem.message else problem.level
    if problem.file == name:
        return problem._replace(level=level)
    where = f"{problem.file}:{problem.line}:{problem.column}: {problem.message}"
    return problem._replace(line=1, column=1, message=where, level=level)
