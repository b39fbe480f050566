"""`headway user` and `headway token`: adds users, and makes login links and API tokens."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from web.cli.helpers import operation_services
from workers.cli.errors import report_errors

UserName = Annotated[str, typer.Argument(help="The user's name.")]


@report_errors
def user_add(
    name: UserName,
    is_admin: Annotated[bool, typer.Option("--admin", help="May change secrets and settings.")] = False,
) -> None:
    """Adds a user and shows a link that logs them in once."""
    from web.operations import users

    with operation_services() as services:
        typer.echo(users.add(services, name, is_admin=is_admin))


@report_errors
def user_link(name: UserName) -> None:
    """Shows a link that logs the user in once within a day."""
    from web.operations import users

    with operation_services() as services:
        typer.echo(users.make_login_link(services, name))


@report_errors
def user_list() -> None:
    """Lists all users."""
    from web.operations import users

    with operation_services() as services:
        for user in users.list_users(services):
            typer.echo(f"{user.name}\t{'administrator' if user.is_admin else 'user'}")


@report_errors
def token_create(
    user: Annotated[str, typer.Argument(help="The token's user: with it a program may do what this user may.")],
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; by default never.")] = None,
) -> None:
    """Makes an API token and shows it this one time."""
    from web.operations import users

    with operation_services() as services:
        typer.echo(users.add_token_for(services, user, name, days * 86_400 if days else None))


USER_COMMANDS: Mapping[str, Callable[..., None]] = {"add": user_add, "link": user_link, "list": user_list}
TOKEN_COMMANDS: Mapping[str, Callable[..., None]] = {"create": token_create}
