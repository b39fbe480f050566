"""What ``headway run`` was asked for, read without the library of the command line, which loads slowly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """What the command line asked for. ``secrets`` are names; each value is in the environment variable so named."""

    folder: Path = Path()
    push: bool = False
    event: str = "push"
    branch: str = ""
    secrets: tuple[str, ...] = ()


def plain_options(arguments: Sequence[str]) -> RunOptions | None:
    """The options without the command line's library, which takes its time to load; None where that is wanted."""
    texts: dict[str, list[str]] = {"--event": [], "--branch": [], "--secret": []}
    folders: list[str] = []
    push = False
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if argument == "--push":
            push = True
        elif name in texts:
            texts[name].append(value if equals else next(waiting, ""))
        elif argument.startswith("-") or folders:
            return None
        else:
            folders.append(argument)
    folder, event, branch = Path(*folders), [*texts["--event"], "push"], [*texts["--branch"], ""]
    return RunOptions(folder, push, event[-2:][0], branch[-2:][0], tuple(texts["--secret"]))
