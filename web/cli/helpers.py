"""What the server's verbs share on the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from web.operations.admin import Administrator


@contextmanager
def administrator(*, migrate: bool = False) -> Iterator["Administrator"]:
    """Whoever carries out one command; with ``migrate`` the tables are brought up to date first."""
    # Loaded here, for `headway run` needs none of it and must start fast.
    from web.operations.admin import Administrator
    from workers.logs import open_logs
    from workers.startup import database, open_keys, read_settings

    settings = read_settings()
    with database(settings, migrate=migrate) as engine:
        yield Administrator(settings, engine, open_keys(settings), open_logs(settings))


def from_stdin(what: str) -> str:
    """The value from standard input, without the newline at its end; asked for, unseen, in a terminal."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True))
    return sys.stdin.read().removesuffix("\n")
