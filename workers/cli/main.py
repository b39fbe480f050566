"""The commands worker, scheduler and db upgrade. Each imports what it needs only when it runs."""

import signal
import threading

import typer

from workers.cli.errors import report_errors


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for command in (worker, scheduler):
        app.command()(command)
    group = typer.Typer(help="The database.", no_args_is_help=True)
    group.command("upgrade")(db_upgrade)
    app.add_typer(group, name="db")


@report_errors
def worker() -> None:
    """Runs a worker: it runs jobs with the Docker Engine."""
    from runner.errors import MachineError
    from runner.private import private_umask
    from workers.errors import StartError
    from workers.jobs.lease_holding import hold_leases
    from workers.log_lines import configure_log
    from workers.startup import prepare_data_dir, read_settings, sentences

    configure_log()
    settings = read_settings()
    prepare_data_dir(settings)
    hold_leases(settings)
    # Only now: it takes seconds.
    from workers.jobs.process import run_worker

    try:
        with private_umask(), sentences(settings):
            run_worker(settings)
    except MachineError as error:
        raise StartError(f"The worker cannot work: {error}.") from None


@report_errors
def scheduler() -> None:
    """Runs the scheduler: it starts crons, gives jobs of dead workers to others, wakes workers, deletes old logs."""
    from runner.private import private_umask
    from workers.log_lines import configure_log
    from workers.scheduler.scheduler import run_scheduler
    from workers.startup import prepare_data_dir, read_settings, sentences

    configure_log()
    settings = read_settings()
    prepare_data_dir(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with private_umask(), sentences(settings):
        run_scheduler(settings, stop)


@report_errors
def db_upgrade() -> None:
    """Migrates the database to the newest version, and creates the key that seals secrets if there is none."""
    from workers.startup import database, open_keys, read_settings

    settings = read_settings()
    with database(settings, migrate=True):
        open_keys(settings)
        typer.echo("The database is up to date.")
