"""`headway registry`: sets and removes logins to image registries."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from web.cli.helpers import actor, operation_services, read_stdin, say
from workers.cli.errors import report_errors

Host = Annotated[str, typer.Argument(help="The registry, such as registry.example.com or ghcr.io.")]
OneRepo = Annotated[str, typer.Option("--repo", help="For this repository alone, or with 'team/*' for an owner's.")]


@report_errors
def registry_login(
    host: Host,
    username: Annotated[str, typer.Option("--username", "-u", help="The account.")],
    repo: OneRepo = "",
) -> None:
    """Sets the login to a registry; the password is read from standard input."""
    from web.operations.repos import registries

    password = read_stdin("Password")
    with operation_services() as services:
        registries.put(services, actor(), repo, host, username, password)


@report_errors
def registry_list() -> None:
    """Lists the registries with a login: host, account, repository."""
    from web.operations.repos import registries

    with operation_services() as services:
        for host, username, repo in registries.list_registries(services, actor()):
            say(f"{host}\t{username}\t{repo or 'all repositories'}")


@report_errors
def registry_logout(host: Host, repo: OneRepo = "") -> None:
    """Removes the login to a registry."""
    from web.operations.repos import registries

    with operation_services() as services:
        registries.remove(services, actor(), repo, host)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "login": registry_login,
    "list": registry_list,
    "logout": registry_logout,
}
