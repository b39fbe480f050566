"""The server's verbs of the ``headway`` command."""

import importlib
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from web.cli import triggers, verbs
from web.cli.helpers import administrator, told
from web.errors import StartError


def register(app: typer.Typer) -> None:
    """Adds the verbs to the application."""
    for verb in (serve, web, worker, scheduler, triggers.trigger):
        app.command()(verb)
    for name, text, group_verbs in _groups():
        group = typer.Typer(help=text, no_args_is_help=True)
        for word, verb in group_verbs.items():
            group.command(word)(verb)
        app.add_typer(group, name=name)


def _groups() -> list[tuple[str, str, Mapping[str, Callable[..., None]]]]:
    return [
        ("db", "The database.", {"upgrade": db_upgrade}),
        (
            "repo",
            "Repositories.",
            {
                "add": verbs.repo_add,
                "list": verbs.repo_list,
                "hook": verbs.repo_hook,
                "login": verbs.repo_login,
                "token": verbs.repo_token,
                "trust": verbs.repo_trust,
                "newest-wins": verbs.repo_newest_wins,
                "remove": verbs.repo_remove,
            },
        ),
        (
            "secret",
            "Secrets of a repository.",
            {"set": verbs.secret_set, "list": verbs.secret_list, "remove": verbs.secret_remove},
        ),
        ("cron", "Runs that start by the clock.", triggers.CRON_VERBS),
        (
            "registry",
            "Logins to image registries.",
            {"login": verbs.registry_login, "list": verbs.registry_list, "logout": verbs.registry_logout},
        ),
        ("user", "People.", {"add": verbs.user_add, "link": verbs.user_link, "list": verbs.user_list}),
        ("token", "Tokens for programs.", {"create": verbs.token_create}),
    ]


@told
def serve() -> None:
    """Runs everything on this machine: pages, a worker, the scheduler and a private Redis."""
    from web.server.serve import serve as run
    from web.server.wiring import read_settings

    run(read_settings(), typer.echo)


@told
def web(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
) -> None:
    """Runs the pages and the API."""
    from web.server.serve import serve_web
    from web.server.wiring import read_settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_web(read_settings(**given), typer.echo)


@told
def worker() -> None:
    """Runs a worker, which carries out jobs with the Docker Engine."""
    from runner.errors import MachineError
    from web.server.wiring import prepare_data_dir, read_settings, sentences

    settings = read_settings()
    prepare_data_dir(settings)
    try:
        with sentences(settings):
            # By name: the code that runs containers is no part of the web's.
            importlib.import_module("workers.jobs.process").run_worker(settings)
    except MachineError as error:
        raise StartError(f"The worker cannot work: {error}.") from None


@told
def scheduler() -> None:
    """Runs the scheduler: starts crons, gives jobs of lost workers to others, wakes workers, removes what is old."""
    from web.server.wiring import read_settings, sentences
    from workers.scheduler.scheduler import run_scheduler

    settings = read_settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with sentences(settings):
        run_scheduler(settings, stop)


@told
def db_upgrade() -> None:
    """Brings the database's tables up to date, and makes the key that seals secrets if there is none."""
    with administrator(migrate=True):
        typer.echo("The database is up to date.")
