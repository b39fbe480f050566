"""Writes the first pipeline file: an import of another system's files, else what the repository needs."""

from pathlib import Path
from typing import TextIO

from pipelines.parser.discovery import FIRST_FILE, FOLDERS
from runner.cli import exit_status
from runner.cli.import_ import ImportOptions, import_paths, other_files
from runner.cli.init.repository import Repository
from runner.cli.init.starter import starter_of


def init_folder(folder: Path, out: TextIO, err: TextIO) -> int:
    """Writes the file, and returns the exit status."""
    target = folder / FIRST_FILE
    present = [folder / f"{name}{suffix}" for name in FOLDERS[:1] for suffix in ("", ".yaml", ".yml")]
    if there := next((path for path in present if path.exists() or path.is_symlink()), None):
        err.write(f"headway: {there} already exists\n")
        return exit_status.FAILED
    if not folder.is_dir():
        err.write(f"headway: {folder} is not a folder\n")
        return exit_status.USAGE
    if others := other_files(folder):
        status = import_paths(ImportOptions(others, output=folder / FOLDERS[0]), out, err)
        if status != exit_status.USAGE:
            return status
        err.write("headway: nothing could be imported; a first file is written from what the repository has\n")
    starter = starter_of(Repository(folder))
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(starter.text)
    except OSError as error:
        err.write(f"headway: {target} cannot be written: {error.strerror}\n")
        return exit_status.USAGE
    found = f" for {', '.join(starter.titles)}" if starter.titles else ""
    out.write(f"wrote {target}{found}; try it: headway run\n")
    return exit_status.DONE
