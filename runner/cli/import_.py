"""``headway import``: writes pipeline files of other CI systems as Headway's. Needs no Docker and no git."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from pipelines.context import PipelineFile
from pipelines.importers.importing import KNOWN, SYSTEMS, Imported, import_files
from pipelines.parser.discovery import DRONE_FILES
from pipelines.problem import Level, Problem
from runner.cli import exit_status
from runner.errors import StepError
from runner.source.pipeline_file import read_pipeline_file
from runner.source.repository_file import read_repository_file

_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.HINT: "note"}
_WORKFLOWS = tuple(f".{forge}/workflows/*.y*ml" for forge in ("github", "gitea", "forgejo"))
_GITLAB_FILES = (".gitlab-ci.yml", ".gitlab-ci.yaml")


class ImportOptions(NamedTuple):
    """The options of the command."""

    paths: tuple[Path, ...] = ()
    system: str = ""
    output: Path = Path(".headway")
    force: bool = False
    dry_run: bool = False


class _UsageError(Exception):
    """Nothing can be imported. The text says why and what to do."""


def import_paths(options: ImportOptions, out: TextIO, err: TextIO) -> int:
    """Writes the new files and the remarks. Returns the exit status: 1 where something essential is missing."""
    try:
        imported = _import(options)
        if not imported.files:
            _show(imported.remarks, err)
            return exit_status.USAGE
        _write(imported.files, options, out)
    except _UsageError as error:
        err.write(f"headway: {error}\n")
        return exit_status.USAGE
    _show(imported.remarks, err)
    err.write(_summary(imported) + "\n")
    return exit_status.FAILED if imported.failed else exit_status.DONE


def _import(options: ImportOptions) -> Imported:
    if options.system not in {"", *SYSTEMS}:
        raise _UsageError(f"there is no importer for {options.system!r}; they are {', '.join(SYSTEMS)}")
    paths = options.paths or other_files(Path())
    if not paths:
        raise _UsageError(f"this folder has no file of {KNOWN}; name the files to import")
    files = [PipelineFile(path.as_posix(), _read(path)) for path in paths]
    return import_files(files, options.system, _included)


def other_files(folder: Path) -> tuple[Path, ...]:
    """The files of other systems in a folder."""
    named = [folder / name for name in (*DRONE_FILES, *_GITLAB_FILES)]
    workflows = [path for pattern in _WORKFLOWS for path in sorted(folder.glob(pattern))]
    return tuple(path for path in (*named, *workflows) if path.is_file())


def _read(path: Path) -> bytes:
    try:
        return read_pipeline_file(path)
    except OSError as error:
        raise _UsageError(f"{path} cannot be read: {error.strerror}") from None


def _included(source: str, name: str) -> bytes | None:
    """A file of the repository that ``source``, in its root, includes; None if there is none."""
    try:
        return read_repository_file(Path(source).parent, name)
    except StepError:
        return None


def _write(files: Sequence[PipelineFile], options: ImportOptions, out: TextIO) -> None:
    targets = {options.output / Path(file.path).name: file for file in files}
    if options.dry_run:
        out.writelines(f"--- {path}\n{file.text.decode()}" for path, file in targets.items())
        return
    present = [path for path in targets if path.exists() or path.is_symlink()]
    if present and not options.force:
        raise _UsageError(f"{present[0]} exists; --force overwrites it, --output DIR writes to another folder")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for path, file in targets.items():
            path.unlink(missing_ok=True)  # a link is replaced, not followed
            path.write_bytes(file.text)
            out.write(f"wrote {path}\n")
    except OSError as error:
        raise _UsageError(f"{options.output} cannot be written: {error.strerror}") from None


def _show(remarks: Sequence[Problem], err: TextIO) -> None:
    for remark in remarks:
        text = str(remark._replace(file="", line=0, column=0))
        _, _, message = text.partition(f"{remark.level}: ")
        err.write(f"{remark.file}:{remark.line}: {_WORDS[remark.level]}: {message}\n")


def _summary(imported: Imported) -> str:
    counts = [(sum(each.level is level for each in imported.remarks), word) for level, word in _WORDS.items()]
    found = ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts if count)
    files = len(imported.files)
    return f"{files} workflow{'s' if files != 1 else ''}, {found or 'no remarks'}"
