"""The commands of the processes and of the database. Each imports what it needs only when it runs."""

import typer

from workers.cli.errors import report_errors
from workers.cli.keeping import backup, doctor, restore


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for command in (worker, scheduler, backup, restore, doctor):
        app.command()(command)
    group = typer.Typer(help="The database.", no_args_is_help=True)
    group.command("upgrade")(db_upgrade)
    app.add_typer(group, name="db")


@report_errors
def worker() -> None:
    """Runs a worker: it runs jobs with the Docker Engine."""
    from workers.cli import processes
    from workers.startup import read_settings

    processes.worker(read_settings())


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
    with database(settings, migrate=True):
        open_keys(settings)
        typer.echo("The database is up to date.")
