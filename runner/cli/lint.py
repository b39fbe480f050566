"""``headway lint``: shows every problem of pipeline files, for people and for programs. Needs no Docker and no git."""

import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from pipelines.context import PipelineFile
from pipelines.importers.running import own_files
from pipelines.linter.linter import has_errors, in_file, lint_files
from pipelines.model.other_ci_systems import foreign_file, system_of
from pipelines.parser.discovery import (
    FOLDERS,
    choose_files,
    dialect_of,
    other_system_of,
    other_systems_hint,
    workflow_name,
)
from pipelines.parser.fragments import Fragments
from pipelines.problem import Level, Problem
from runner.cli import exit_status
from runner.cli.fragments import fragments_of
from runner.cli.lint_formats import FORMATS, render
from runner.cli.lint_fragments import FragmentFile, fragment_at, lint_file
from runner.source.pipeline_file import read_pipeline_file

_TOP_KEY = re.compile(rb"^[\"']?([A-Za-z][A-Za-z0-9_-]*)[\"']?\s*:", re.MULTILINE)


class LintOptions(NamedTuple):
    """The options of the command. ``format`` is one of FORMATS."""

    paths: tuple[Path, ...] = ()
    format: str = "text"
    strict: bool = False


class Linted(NamedTuple):
    """The problems of all files, and the content of each file by its name in the output."""

    problems: tuple[Problem, ...]
    texts: dict[str, bytes]


class UsageError(Exception):
    """There are no files to lint. The text says why and what to do."""


class _Pipeline(NamedTuple):
    """The files of one pipeline: their names relative to ``root``, the folder of the repository.

    ``others`` are names of further workflows, ``unread`` are files that Headway ignores.
    """

    root: Path
    names: tuple[str, ...]
    others: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def lint(options: LintOptions, out: TextIO, err: TextIO) -> int:
    """Writes the problems and returns the exit status: 1 for errors, with ``strict`` for warnings too."""
    if options.format not in FORMATS:
        err.write(f"headway: there is no format {options.format!r}; the formats are {', '.join(FORMATS)}\n")
        return exit_status.USAGE
    try:
        linted = lint_paths(options.paths or (Path(),))
    except UsageError as error:
        err.write(f"headway: {error}\n")
        return exit_status.USAGE
    colour = out.isatty() and not os.environ.get("NO_COLOR")
    out.write(render(options.format, linted.problems, linted.texts, colour=colour))
    if options.format == "text":
        err.write(_summary(linted) + "\n")
    return exit_status.FAILED if has_errors(linted.problems, strict=options.strict) else exit_status.DONE


def lint_paths(paths: Sequence[Path]) -> Linted:
    """Lints the pipelines of folders, and single files. Raises UsageError."""
    problems: list[Problem] = []
    texts: dict[str, bytes] = {}
    foreign = [(path, system) for path in paths if path.is_file() and (system := _other_system(path))]
    for path, system in foreign:
        texts[path.as_posix()] = _read(path)
        problems.append(Problem(path.as_posix(), 1, 1, *foreign_file(system, path.as_posix())))
    ours = [path for path in paths if path not in dict(foreign)]
    alone = {path: fragment for path in ours if path.is_file() and (fragment := _fragment(path))}
    for path, fragment in alone.items():
        own, read = lint_file(fragment, path, _pipeline_in(fragment.root), _fragments)
        problems += own
        texts |= read
    for pipeline in _pipelines([path for path in ours if path not in alone]):
        shown = {name: (pipeline.root / name).as_posix() for name in pipeline.names}
        files = [PipelineFile(name, _read(pipeline.root / name)) for name in pipeline.names]
        texts |= {shown[file.path]: file.text for file in files}
        files, remarks = own_files(files)
        problems += [in_file(remark, shown[remark.file]) for remark in remarks]
        fragments = _fragments(files, pipeline.root)
        shown |= {each.path: (pipeline.root / each.path).as_posix() for each in fragments if not each.repo}
        texts |= {shown.get(each.name, each.name): read.text for each, read in fragments.items() if not read.trouble}
        found = lint_files(files, other_workflows=pipeline.others, fragments=fragments)
        problems += [in_file(problem, shown.get(problem.file, problem.file)) for problem in found]
        problems += [_unread(pipeline, name) for name in pipeline.unread]
    return Linted(tuple(problems), texts)


def _fragment(path: Path) -> FragmentFile | None:
    return fragment_at(path, _pipeline_in, _fragments, _read)


def _pipeline_in(folder: Path) -> list[PipelineFile]:
    """The pipeline files of a repository; none where it has none."""
    return [PipelineFile(name, _read(folder / name)) for name in choose_files(pipeline_names(folder))]


def _fragments(files: list[PipelineFile], root: Path) -> Fragments:
    return fragments_of(files, root, partial(_remote, root))


def _remote(root: Path) -> str:
    """The address of the repository in this folder. What looks for it loads git, so only where it is needed."""
    from runner.source.working_tree import working_tree

    return working_tree(root).remote()


def _other_system(path: Path) -> str:
    """The other system that a file is for, by its place, or by keys that stand at the top of no pipeline file."""
    path = path.absolute()
    if any(name.startswith(FOLDERS) for name in (path.name, path.parent.name)):
        return ""
    named = other_system_of(path.as_posix())
    return named or system_of({key.decode() for key in _TOP_KEY.findall(_read(path))})


def _pipelines(paths: Sequence[Path]) -> list[_Pipeline]:
    """One pipeline for each folder, and one for all single files of the same repository."""
    found: list[_Pipeline] = []
    files: dict[Path, list[str]] = {}
    for path in dict.fromkeys(paths):
        if path.is_dir():
            found.append(_folder(path))
        elif path.exists():
            deep = path.parent.name in FOLDERS
            root = path.parent.parent if deep else path.parent
            files.setdefault(root, []).append(path.relative_to(root).as_posix())
        else:
            raise UsageError(f"{path} does not exist")
    return found + [_Pipeline(root, tuple(names), other_workflows(root, names)) for root, names in files.items()]


def _folder(folder: Path) -> _Pipeline:
    names = pipeline_names(folder)
    chosen = choose_files(names)
    if not chosen and not (folder / "Dockerfile").is_file():
        hint = "write a .headway.yml (`headway init` makes a first one), or name the files to lint"
        more = other_systems_hint(sorted(path.name for path in folder.iterdir()))
        raise UsageError(f"{folder} has no pipeline file and no Dockerfile; {hint}{more}")
    return _Pipeline(folder, tuple(chosen), unread=tuple(name for name in names if name not in chosen))


def pipeline_names(folder: Path) -> list[str]:
    """Every file that could belong to the pipeline of ``folder``."""
    places = [folder, *(folder / name for name in FOLDERS)]
    names = [path.relative_to(folder).as_posix() for place in places for path in _files(place)]
    return sorted(name for name in names if choose_files([name]))


def _files(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if path.is_file()] if place.is_dir() else []
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror}") from None


def other_workflows(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Workflows besides the named files, which may depend on them."""
    return tuple(workflow_name(name) for name in pipeline_names(root) if name not in names and "/" in name)


def _read(path: Path) -> bytes:
    try:
        return read_pipeline_file(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _unread(pipeline: _Pipeline, name: str) -> Problem:
    """The problem for a file that looks like a pipeline file and is ignored."""
    first = pipeline.names[0]
    same = dialect_of(first) is dialect_of(name)
    shown = (pipeline.root / name).as_posix()
    hint = "keep one of them" if same else "remove it when the migration is done"
    return Problem(shown, 1, 1, f"this file is ignored, because {first} exists", hint, _level(same=same))


def _level(*, same: bool) -> Level:
    return Level.WARNING if same else Level.HINT


def _summary(linted: Linted) -> str:
    counts = [(sum(problem.level is level for problem in linted.problems), level.value) for level in Level]
    found = ", ".join(f"{count} {noun}{'s' if count > 1 else ''}" for count, noun in counts if count)
    files = len(linted.texts)
    return f"{found or 'no problems'} in {files} file{'s' if files != 1 else ''}"


def main(arguments: Sequence[str]) -> int | None:
    """Runs the command and returns the exit status; None if the arguments need Typer (``--help``, a mistake)."""
    options = plain_options(arguments)
    return None if options is None else lint(options, sys.stdout, sys.stderr)


def plain_options(arguments: Sequence[str]) -> LintOptions | None:
    """Parses paths, ``--strict`` and ``--format NAME`` without Typer, which loads slowly; None for other arguments."""
    paths: list[Path] = []
    chosen, strict = "text", False
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--strict":
            strict = True
        elif name == "--format":
            chosen = value if equals else next(rest, "")
        elif argument.startswith("-"):
            return None
        else:
            paths.append(Path(argument))
    return LintOptions(tuple(paths), chosen, strict)
