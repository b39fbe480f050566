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
        if status := exit_status(lambda: function(*args, **kwargs)):
            raise typer.Exit(status)

    return run


def exit_status(function: Callable[[], None]) -> int:
    """Calls the function. Returns 0, or 3 after a StartError, which is printed as a sentence."""
    try:
        function()
    except StartError as error:
        typer.echo(visible(f"headway: {error}"), err=True)
        return BROKEN
    return 0
