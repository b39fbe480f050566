"""The commands of the processes and of the database. Each imports what it needs only when it runs."""

import re
from typing import Annotated

import typer

from workers.cli.errors import report_errors
from workers.cli.keeping import backup, doctor, restore
from workers.cli.worker_group import WORKER

_DURATION = re.compile(r"([0-9]{1,6})([smh])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for command in (scheduler, backup, restore, doctor):
        app.command()(command)
    WORKER.callback(invoke_without_command=True)(worker)
    app.add_typer(WORKER, name="worker")
    group = typer.Typer(help="The database.", no_args_is_help=True)
    group.command("upgrade")(db_upgrade)
    group.command("new-key")(db_new_key)
    app.add_typer(group, name="db")


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found or not int(found[1]):
        raise typer.BadParameter(f"{text!r} is no duration; write a number and a unit, as in 30s, 10m or 2h.")
    return int(found[1]) * _UNITS_S[found[2]]


@report_errors
def worker(
    context: typer.Context,
    exit_when_idle: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="End after so long without a job, as in 10m: for workers on demand."),
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", hidden=True, help="Do not end when drained.")] = False,
) -> None:
    """Runs a worker: it runs jobs with the Docker Engine."""
    if context.invoked_subcommand is not None:
        return
    from workers.cli import processes
    from workers.startup import read_settings

    idle_s = None if exit_when_idle is None else _seconds(exit_when_idle)
    processes.worker(read_settings(), idle_s, ends=not stay)


@report_errors
def scheduler() -> None:
    """Runs the scheduler: it starts crons, gives jobs of dead workers to others, wakes workers, deletes old logs."""
    from workers.cli import processes
    from workers.startup import read_settings

    processes.scheduler(read_settings())


@report_errors
def db_upgrade() -> None:
    """Migrates the database to the newest version, and creates the key that seals secrets if there is none."""
    from workers.startup import database, open_keys, read_settings

    settings = read_settings()
    with database(settings, migrate=True) as engine:
        open_keys(settings, engine)
        typer.echo("The database is up to date.")


@report_errors
def db_new_key(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Goes on with another key after the old one was lost. What the old one has sealed must be set again."""
    from workers.secrets.known_keys import forget_keys
    from workers.startup import database, open_vault_of, read_settings, sentences

    settings = read_settings()
    if not yes:
        typer.confirm("Go on with another key? No secret, login or token that is stored can be read then.", abort=True)
    with database(settings) as engine, sentences(settings):
        vault = open_vault_of(settings)
        forget_keys(engine, vault)
    typer.echo(
        f"The key {vault.newest} seals from now on. Set again: secrets, logins, tokens, and webhooks (repo hook)."
    )
