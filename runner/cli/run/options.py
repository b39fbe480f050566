"""The options of ``headway run``, parsed without Typer, which loads slowly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.trigger import Trigger

JOBS_MAX = 64
"""At most this many workflows run at once."""


@dataclass(frozen=True)
class RunOptions:
    """The options. ``secrets`` are names; each value is in the environment variable of that name.

    ``secrets_file`` has lines NAME=VALUE, as ``inputs`` are. Without ``event`` it is a push, with ``tag`` a tag, with
    inputs a manual run. With ``no_reuse`` every step runs. ``workflows`` are the names of those that run, and ``cells``
    NAME=VALUE of the matrix; ``steps`` are the names of those that run with what they need, and ``first_step`` is the
    one from which on they run; without any, all run. With ``json`` the output is one JSON object on each line.
    ``like`` is the address of a run on a server, and ``trigger`` what started that. With ``keep_on_failure`` the first
    failed job stays for ``headway shell``.
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
    tag: str = ""
    steps: tuple[str, ...] = ()
    first_step: str = ""
    jobs: int = 1
    watch: bool = False
    like: str = ""
    trigger: "Trigger | None" = None
    keep_on_failure: bool = False


_FLAGS = frozenset({"--push", "--no-reuse", "--json", "--watch", "--keep-on-failure"})
_LISTS = ("--secret", "--input", "--workflow", "--matrix", "--step")
_TEXTS = ("--event", "--branch", "--secrets-file", "--tag", "--from", "--jobs", "--like")


def plain_options(arguments: Sequence[str]) -> RunOptions | None:
    """The options, or None if the arguments need Typer (``--help``, a mistake)."""
    texts: dict[str, list[str]] = {name: [] for name in (*_LISTS, *_TEXTS)}
    folders: list[str] = []
    flags: set[str] = set()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in _FLAGS:
            flags.add(argument)
        elif name in texts:
            texts[name].append(value if equals else next(rest, ""))
        elif argument.startswith("-") or folders:
            return None
        else:
            folders.append(argument)
    return _options(folders, flags, texts)


def _options(folders: Sequence[str], flags: set[str], texts: Mapping[str, Sequence[str]]) -> RunOptions | None:
    last = {name: texts[name][-1] if texts[name] else "" for name in _TEXTS}
    jobs = last["--jobs"] if texts["--jobs"] else "1"
    if not (jobs.isascii() and jobs.isdecimal() and len(jobs) <= len(str(JOBS_MAX)) and 1 <= int(jobs) <= JOBS_MAX):
        return None
    return RunOptions(
        folder=Path(*folders),
        push="--push" in flags,
        event=last["--event"],
        branch=last["--branch"],
        secrets=tuple(texts["--secret"]),
        inputs=tuple(texts["--input"]),
        no_reuse="--no-reuse" in flags,
        secrets_file=Path(last["--secrets-file"]) if last["--secrets-file"] else None,
        workflows=tuple(texts["--workflow"]),
        cells=tuple(texts["--matrix"]),
        json="--json" in flags,
        tag=last["--tag"],
        steps=tuple(texts["--step"]),
        first_step=last["--from"],
        jobs=int(jobs),
        watch="--watch" in flags,
        like=last["--like"],
        keep_on_failure="--keep-on-failure" in flags,
    )
