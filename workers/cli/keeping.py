"""The commands that keep an installation: backup and restore."""

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.errors import report_errors
from workers.errors import StartError

_STANDARD_OUTPUT = Path("-")


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
        f"Restored {restored.rows.get('repos', 0)} repositories and {restored.rows.get('runs', 0)} runs of the backup "
        f"of {made:%Y-%m-%d %H:%M} UTC. Jobs that ran then start over."
    )
    if restored.missing_key_ids:
        typer.echo(
            f"Before you start Headway, put the old keys into {settings.key_file}: "
            f"{', '.join(restored.missing_key_ids)}. Without them no secret can be read.",
            err=True,
        )
