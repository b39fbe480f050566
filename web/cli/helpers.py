"""What the server's verbs share on the command line."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import typer

from web.errors import StartError

if TYPE_CHECKING:
    from web.operations.admin import Administrator

P = ParamSpec("P")
BROKEN = 3


def told(function: Callable[P, None]) -> Callable[P, None]:
    """What cannot be done ends the program with a sentence and status 3."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except StartError as error:
            typer.echo(f"headway: {error}", err=True)
            raise typer.Exit(BROKEN) from None

    return run


@contextmanager
def administrator(*, migrate: bool = False) -> Iterator["Administrator"]:
    """Whoever carries out one command; with ``migrate`` the tables are brought up to date first."""
    # Loaded here, for `headway run` needs none of it and must start fast.
    from web.operations.admin import Administrator
    from web.server.wiring import database, open_keys, read_settings
    from workers.logs import open_logs

    settings = read_settings()
    with database(settings, migrate=migrate) as engine:
        yield Administrator(settings, engine, open_keys(settings), open_logs(settings))


def from_stdin(what: str) -> str:
    """The value from standard input, without the newline at its end; asked for, unseen, in a terminal."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True))
    return sys.stdin.read().removesuffix("\n")
