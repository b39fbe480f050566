"""Registers the commands of the web server: `headway serve`, `headway web`, and the administration."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from web.cli import remote, workers
from web.cli.accounts import roles, tokens_and_sessions, users
from web.cli.disk import DISK
from web.cli.repos import crons, deliveries, registries, repos, secrets
from web.cli.runs.approve import approve
from web.cli.runs.artifacts import artifacts
from web.cli.runs.rerun import rerun
from web.cli.runs.tests import tests
from web.cli.runs.trigger import trigger
from web.cli.settings import settings as show_settings
from workers.cli.errors import report_errors
from workers.cli.worker_group import WORKER

_GROUPS: tuple[tuple[str, str, Mapping[str, Callable[..., None]]], ...] = (
    ("repo", "Repositories.", {**repos.COMMANDS, **roles.REPO_COMMANDS}),
    ("secret", "Secrets of a repository.", secrets.COMMANDS),
    ("cron", "Runs that start by the clock.", crons.COMMANDS),
    ("delivery", "Webhook deliveries, and replaying one.", deliveries.COMMANDS),
    ("registry", "Logins to image registries.", registries.COMMANDS),
    ("user", "People.", users.USER_COMMANDS),
    ("token", "API tokens for programs.", tokens_and_sessions.TOKEN_COMMANDS),
    ("session", "Browsers in which users are logged in.", tokens_and_sessions.SESSION_COMMANDS),
)


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    for command in (serve, web, trigger, rerun, approve, artifacts, tests, users.audit):
        app.command()(command)
    app.command("settings")(show_settings)
    for word, command in remote.COMMANDS.items():
        app.command(word)(command)
    for verb in workers.COMMANDS:
        WORKER.command(verb.__name__)(verb)
    app.add_typer(DISK, name="disk")
    for name, text, verbs in _GROUPS:
        group = typer.Typer(help=text, no_args_is_help=True)
        for word, command in verbs.items():
            group.command(word)(command)
        app.add_typer(group, name=name)


HostOption = Annotated[str | None, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option("--port", help="The port to listen on.")]


@report_errors
def serve(host: HostOption = None, port: PortOption = None) -> None:
    """Runs everything on this machine: pages, a worker, the scheduler and a private Redis."""
    from web.server.serve import serve as run
    from workers.log_lines import configure_log
    from workers.startup import read_settings

    settings = read_settings(**_given(host, port))
    configure_log(settings.log_format)
    run(settings, typer.echo)


@report_errors
def web(host: HostOption = None, port: PortOption = None) -> None:
    """Runs the pages and the API."""
    from web.server.serve import serve_web
    from workers.log_lines import configure_log
    from workers.startup import read_settings

    settings = read_settings(**_given(host, port))
    configure_log(settings.log_format)
    serve_web(settings, typer.echo)


def _given(host: str | None, port: int | None) -> dict[str, str | int]:
    """The settings that the command line has; they go before those of the environment."""
    return {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
