"""`headway secret`: sets and removes secrets. Values come from standard input, never from arguments."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from pipelines.trigger import Event
from web.cli.helpers import RepoName, actor, operation_services, read_stdin, say
from workers.cli.errors import report_errors

SecretName = Annotated[str, typer.Argument(help="The secret's name, as from_secret uses it.")]


@report_errors
def secret_set(
    repo: RepoName,
    name: SecretName,
    event: Annotated[
        list[Event] | None,
        typer.Option(
            help="Events whose runs get it; by default all but pull requests, or as before if it is set already."
        ),
    ] = None,
) -> None:
    """Sets a secret; its value is read from standard input."""
    from runner.logs.spellings import shown_in_logs
    from web.operations.repos import secrets

    value = read_stdin("Value")
    with operation_services() as services:
        secrets.put(services, actor(), repo, name, value, event)
    if shown := shown_in_logs(value):
        typer.echo(f"headway: the secret {name} is set, but {shown}", err=True)


@report_errors
def secret_list(repo: RepoName) -> None:
    """Lists the names of a repository's secrets."""
    from web.operations.repos import secrets

    with operation_services() as services:
        for secret in secrets.list_secrets(services, actor(), repo):
            say(f"{secret.name}\t{', '.join(secret.events)}")


@report_errors
def secret_remove(repo: RepoName, name: SecretName) -> None:
    """Removes a secret."""
    from web.operations.repos import secrets

    with operation_services() as services:
        secrets.remove(services, actor(), repo, name)


COMMANDS: Mapping[str, Callable[..., None]] = {"set": secret_set, "list": secret_list, "remove": secret_remove}
