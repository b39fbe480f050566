"""`headway token` and `headway session`: what lets programs and browsers in."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import actor, operation_services, say
from workers.cli.errors import report_errors
from workers.db.roles import Scope

if TYPE_CHECKING:
    from workers.db.models import ApiToken

User = Annotated[str, typer.Argument(help="The user's name.")]


@report_errors
def token_create(
    user: Annotated[str, typer.Argument(help="The token's user: a program may do at most what this user may.")],
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    scope: Annotated[
        Scope, typer.Option(help="read sees, run also starts and cancels runs, admin may do all that the user may.")
    ] = Scope.ADMIN,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; by default never.")] = None,
) -> None:
    """Makes an API token and shows it this one time."""
    from web.operations.accounts import tokens_and_sessions

    with operation_services() as services:
        say(tokens_and_sessions.add_token(services, actor(), user, name, scope, days))


@report_errors
def token_list(
    user: Annotated[str, typer.Argument(help="The user's name; by default all users, whose names come first.")] = "",
) -> None:
    """Lists API tokens: id, name, scope, last use, expiry. Times are in UTC."""
    from web.operations.accounts import tokens_and_sessions

    with operation_services() as services:
        if user:
            for row in tokens_and_sessions.list_tokens(services, actor(), user):
                say(_columns(row))
        else:
            for name, row in tokens_and_sessions.list_all_tokens(services, actor()):
                say(f"{name}\t{_columns(row)}")


def _columns(row: "ApiToken") -> str:
    used, expires = _time(row.last_used_ms, "never used"), _time(row.expires_ms, "never expires")
    return f"{row.id}\t{row.name}\t{row.scope.value}\t{used}\t{expires}"


@report_errors
def token_revoke(
    user: User, token: Annotated[str, typer.Argument(help="The token's id or name, as headway token list shows it.")]
) -> None:
    """Revokes an API token: it stops working at once."""
    from web.operations.accounts import tokens_and_sessions

    with operation_services() as services:
        token_id = tokens_and_sessions.token_id(services, actor(), user, token)
        tokens_and_sessions.remove_token(services, actor(), user, token_id)


@report_errors
def session_list(user: User) -> None:
    """Lists the browsers in which a user is logged in: id, address, last use, browser. Times are in UTC."""
    from web.operations.accounts import tokens_and_sessions

    with operation_services() as services:
        for row in tokens_and_sessions.list_sessions(services, actor(), user):
            used = _time(row.last_used_ms, "never used")
            say(f"{row.id}\t{row.address or 'unknown'}\t{used}\t{_plain(row.browser) or 'unknown'}")


@report_errors
def session_end(
    user: User,
    session_id: Annotated[
        int | None, typer.Argument(help="The session's id, as headway session list shows it; by default all.")
    ] = None,
) -> None:
    """Logs a user's browsers out: one, or all."""
    from web.operations.accounts import tokens_and_sessions

    with operation_services() as services:
        if session_id is None:
            say(f"{tokens_and_sessions.end_sessions(services, actor(), user)} sessions ended")
        else:
            tokens_and_sessions.end_session(services, actor(), user, session_id)


def _time(moment_ms: int | None, otherwise: str) -> str:
    from web.pages.filters import iso

    return otherwise if moment_ms is None else iso(moment_ms)


def _plain(text: str) -> str:
    """What a browser sent, without what could steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


TOKEN_COMMANDS: Mapping[str, Callable[..., None]] = {
    "create": token_create,
    "list": token_list,
    "revoke": token_revoke,
}
SESSION_COMMANDS: Mapping[str, Callable[..., None]] = {"list": session_list, "end": session_end}
