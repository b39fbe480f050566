"""The commands that keep an installation: backup, restore and doctor."""

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.visible import visible
from workers.cli.errors import report_errors
from workers.errors import StartError

_STANDARD_OUTPUT = Path("-")
_NOT_WELL = 1


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


@report_errors
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; - is standard output.", allow_dash=True)],
    keys: Annotated[bool, typer.Option("--keys", help="Also the keys that seal secrets.")] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Also the logs of all runs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Backs up the database, while Headway runs, into one file that any version from now on restores."""
    from runner.private import private_umask
    from workers.backup.backup import archive_file, write_backup
    from workers.startup import read_settings, sentences

    settings = read_settings()
    output = file == _STANDARD_OUTPUT
    if output and sys.stdout.isatty():
        raise StartError("An archive is no text for a terminal. Name a file, or send standard output to a program.")
    target = nullcontext(sys.stdout.buffer) if output else archive_file(file, force=force)
    with private_umask(), sentences(settings), target as archive:
        manifest = write_backup(settings, archive, keys=keys, logs=logs)
        archive.flush()
    rows = sum(part.rows for part in manifest.parts.values())
    parts = [f"{rows} rows", *(["the keys"] if keys else []), *(["the logs"] if logs else [])]
    typer.echo(f"Backed up {' and '.join(parts)}.", err=True)
    if not keys:
        typer.echo("The keys are not in it. Keep secret.key, or HEADWAY_SECRET_KEYS, at another place.", err=True)


@report_errors
def restore(
    file: Annotated[Path, typer.Argument(help="The archive, as headway backup wrote it.")],
) -> None:
    """Restores a backup into an empty installation: an empty database, of either kind, and a data directory."""
    from workers.backup.restore import restore as run
    from workers.startup import read_settings, sentences

    settings = read_settings()
    try:
        archive = file.open("rb")
    except OSError as error:
        raise StartError(f"The archive {file} cannot be read: {error.strerror}.") from None
    with archive, sentences(settings):
        if not archive.seekable():
            raise StartError(f"{file} is read twice and must be a file. Save the archive first.")
        restored = run(settings, archive)
    made = datetime.fromtimestamp(restored.header.created_ms / 1000, UTC)
    typer.echo(
        f"Restored the backup of {made:%Y-%m-%d %H:%M} UTC (repositories: {restored.rows.get('repos', 0)}, "
        f"runs: {restored.rows.get('runs', 0)}). Jobs that ran then start over."
    )
    if restored.missing_key_ids:
        typer.echo(
            f"Before you start Headway, put the old keys into {settings.key_file}: "
            f"{', '.join(restored.missing_key_ids)}. Without them no secret can be read.",
            err=True,
        )


def doctor(
    skip: Annotated[list[str] | None, typer.Option("--skip", help="A check to leave out; may be repeated.")] = None,
    output: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = Format.TEXT,
) -> None:
    """Checks all that Headway needs, and says what to do. Status 1 if something does not work."""
    from workers.doctor.examine import checks_of, examine, secrets_of
    from workers.doctor.finding import Finding, Level, problem
    from workers.startup import read_settings

    findings: list[Finding]
    try:
        settings = read_settings()
    except StartError as error:
        findings = [problem("settings", str(error))]
    else:
        checks = checks_of(settings)
        if unknown := [name for name in skip or () if name not in checks]:
            raise typer.BadParameter(f"there is no check {', '.join(unknown)}; there are {', '.join(checks)}.")
        kept = {name: check for name, check in checks.items() if name not in (skip or ())}
        findings = examine(kept, secrets_of(settings))
    if output is Format.JSON:
        typer.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        for each in findings:
            typer.echo(visible(f"{each.level:<8} {each.subject:<10} {each.sentence}"))
    if any(each.level is Level.PROBLEM for each in findings):
        raise typer.Exit(_NOT_WELL)
