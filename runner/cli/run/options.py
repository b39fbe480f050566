"""The options of ``headway run``, parsed without Typer, which loads slowly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """The options. ``secrets`` are names; each value is in the environment variable of that name.

    ``inputs`` are NAME=VALUE. Without ``event`` it is a push, with inputs a manual run. With ``no_reuse`` every step
    runs.
    """

    folder: Path = Path()
    push: bool = False
    event: str = ""
    branch: str = ""
    secrets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    no_reuse: bool = False


def plain_options(arguments: Sequence[str]) -> RunOptions | None:
    """The options, or None if the arguments need Typer (``--help``, a mistake)."""
    texts: dict[str, list[str]] = {"--event": [], "--branch": [], "--secret": [], "--input": []}
    folders: list[str] = []
    push = no_reuse = False
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--push":
            push = True
        elif argument == "--no-reuse":
            no_reuse = True
        elif name in texts:
            texts[name].append(value if equals else next(rest, ""))
        elif argument.startswith("-") or folders:
            return None
        else:
            folders.append(argument)
    folder, event, branch = Path(*folders), [*texts["--event"], ""], [*texts["--branch"], ""]
    secrets, inputs = tuple(texts["--secret"]), tuple(texts["--input"])
    return RunOptions(folder, push, event[-2:][0], branch[-2:][0], secrets, inputs, no_reuse)
