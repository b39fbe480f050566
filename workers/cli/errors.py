"""What a command prints when it fails."""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
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
        if status := exit_status(lambda: _checked(function, *args, **kwargs)):
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


def _checked(function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    _check_text([*args, *kwargs.values()])
    function(*args, **kwargs)


def _check_text(values: Iterable[object]) -> None:
    """Raises StartError for an argument that is no text: nothing could store or print it."""
    for value in values:
        if isinstance(value, list | tuple):
            _check_text(value)
        elif isinstance(value, str | Path) and not _is_text(str(value)):
            shown = str(value).encode("utf-8", "backslashreplace").decode()
            raise StartError(f"The argument {shown} is no text in UTF-8. Write it anew.")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
