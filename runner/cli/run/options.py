"""The options of ``headway run``, parsed without Typer, which loads slowly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunOptions:
    """The options. ``secrets`` are names; each value is in the environment variable of that name.

    ``secrets_file`` has lines NAME=VALUE, as ``inputs`` are. Without ``event`` it is a push, with inputs a manual run.
    With ``no_reuse`` every step runs. ``workflows`` are the names of those that run, and ``cells`` NAME=VALUE of the
    matrix; without any, all run. With ``json`` the output is one JSON object on each line.
    """

    folder: Path = Path()
    push: bool = False
    event: str = ""
    branch: str = ""
    secrets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    no_reuse: bool = False
    secrets_file: Path | None = None
    workflows: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    json: bool = False


_WITH_VALUE = ("--event", "--branch", "--secret", "--input", "--secrets-file", "--workflow", "--matrix")


def plain_options(arguments: Sequence[str]) -> RunOptions | None:
    """The options, or None if the arguments need Typer (``--help``, a mistake)."""
    texts: dict[str, list[str]] = {name: [] for name in _WITH_VALUE}
    folders: list[str] = []
    flags: set[str] = set()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in {"--push", "--no-reuse", "--json"}:
            flags.add(argument)
        elif name in texts:
            texts[name].append(value if equals else next(rest, ""))
        elif argument.startswith("-") or folders:
            return None
        else:
            folders.append(argument)
    event, branch, file = (texts[name][-1] if texts[name] else "" for name in ("--event", "--branch", "--secrets-file"))
    return RunOptions(
        folder=Path(*folders),
        push="--push" in flags,
        event=event,
        branch=branch,
        secrets=tuple(texts["--secret"]),
        inputs=tuple(texts["--input"]),
        no_reuse="--no-reuse" in flags,
        secrets_file=Path(file) if file else None,
        workflows=tuple(texts["--workflow"]),
        cells=tuple(texts["--matrix"]),
        json="--json" in flags,
    )
