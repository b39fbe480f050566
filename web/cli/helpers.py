"""What the administration commands share."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.visible import visible
from web.cli import completion

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from web.client.api import Api
    from web.security.access import Actor
    from web.services import OperationServices

RepoName = Annotated[str, typer.Argument(help="The repository's name.", show_default=False)]
ServerRepoName = Annotated[
    str, typer.Argument(help="The repository's name.", show_default=False, autocompletion=completion.repos)
]
RunNumber = Annotated[
    int,
    typer.Argument(help="The run's number.", min=1, max=2**53, show_default=False, autocompletion=completion.runs),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="NAME=VALUE of an input that the pipeline declares; any number of them."),
]

ServerOption = Annotated[
    str, typer.Option(help="The server to speak to, by its API; by default HEADWAY_SERVER.", show_default=False)
]
NoReuse = Annotated[
    bool, typer.Option("--no-reuse", help="Run every step, also where an earlier result could be taken.")
]


@contextmanager
def remote_api(server: str) -> Iterator["Api | None"]:
    """The API of the server that the option or HEADWAY_SERVER names.

    None where neither does: then the command is for the installation on this machine.
    """
    from web.client.servers import find_server, named_server

    if not named_server(server, os.environ):
        yield None
        return
    from web.client.api import connected

    with connected(find_server(server, os.environ)) as api:
        yield api


@contextmanager
def operation_services() -> Iterator["OperationServices"]:
    """What the operations of one command need. A refused operation becomes StartError: a sentence and exit status 3."""
    # Loaded here, because `headway run` needs none of it and must start fast.
    from web.operations.errors import OperationError
    from web.services import OperationServices
    from workers.errors import StartError
    from workers.logs import open_logs
    from workers.secrets.vault import VaultError
    from workers.startup import database, open_keys, read_settings

    settings = read_settings()
    with database(settings) as engine:
        try:
            yield OperationServices(
                settings,
                engine,
                partial(_leave_to_scheduler, engine),
                open_logs(settings, engine),
                open_keys(settings, engine),
            )
        except (OperationError, VaultError) as error:
            raise StartError(str(error)) from None


def _leave_to_scheduler(engine: "Engine", *job_ids: int) -> None:
    """A command may not know the private Redis of `headway serve`: the scheduler wakes a worker within a second."""
    from workers.db.session import transaction
    from workers.store.jobs import leases

    with transaction(engine) as session:
        for job_id in job_ids:
            leases.let_scheduler_notify(session, job_id)


def say(text: str) -> None:
    """Prints text for a person: in a terminal it can neither move the cursor nor hide what stands beside it."""
    typer.echo(visible(text))


def read_stdin(prompt: str) -> str:
    """The value from standard input, without the newline at its end; a terminal gets a prompt and shows no input."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True))
    from workers.errors import StartError

    try:
        value = sys.stdin.read()
        value.encode()
    except UnicodeError:
        hint = "Send text; of binary data send its base64"
        raise StartError(f"What came on standard input is no text in UTF-8, and was not used. {hint}.") from None
    return value.removesuffix("\n")


def actor() -> "Actor":
    """Who runs the command: with a shell as Headway's user, this is an administrator."""
    from web.security.access import command_line

    return command_line(system_user())


def system_user() -> str:
    """The name of the operating system's user who runs the command."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # a user number without a name, as in a container
        return "command line"
