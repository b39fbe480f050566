"""What a command prints when it fails."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from pipelines.visible import visible
from workers.errors import StartError

P = ParamSpec("P")
BROKEN = 3


def report_errors(function: Callable[P, None]) -> Callable[P, None]:
    """Decorator of a command: a StartError is printed as a sentence, and the program exits with status 3."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except StartError as error:
            typer.echo(visible(f"headway: {error}"), err=True)
            raise typer.Exit(BROKEN) from None

    return run
