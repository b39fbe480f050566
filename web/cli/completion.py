"""What a shell completes of commands that speak to a server: repositories, and the newest runs of one.

The server has a second for its answer: whatever goes wrong, the shell shows no names and no sentence.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from pipelines.state import State
from runner.cli.completed_names import NAMES_COUNT_MAX, fitting

if TYPE_CHECKING:
    from web.client.api import Api

ANSWER_S = 1.0
_REPOS_COUNT_MAX = 1000
_OF_LAST_LOGIN = frozenset({"runs", "logs", "cancel", "open", "shell"})
"""Commands that speak to the last server of ``headway login`` where none is named; others are for this machine then."""


def repos(context: typer.Context, incomplete: str) -> list[str]:
    """The repositories whose names begin like this."""
    # Names behind the last but one character: those that begin like this, and the one that is just this, come first.
    return fitting(
        _values(context, "/repos", "name", {"limit": _REPOS_COUNT_MAX, "after": incomplete[:-1]}), incomplete
    )


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """The numbers of the newest runs of the repository that the command line names."""
    return _runs_of(context, str(context.params.get("repo") or ""), incomplete)


def shell_words(context: typer.Context, incomplete: str) -> list[str]:
    """REPO, RUN and STEP of ``headway shell``; of the steps those that run now."""
    match list(context.params.get("words") or ()):
        case []:
            return repos(context, incomplete)
        case [repo]:
            return _runs_of(context, str(repo), incomplete)
        case [repo, run]:
            return fitting(_asked(context, lambda api: _running_steps(api, str(repo), int(run))), incomplete)
        case _:
            return []


def _running_steps(api: "Api", repo: str, number: int) -> Iterator[str]:
    from web.client.api import run_path
    from web.client.logs import steps_with_titles

    run = api.get(run_path(repo, number))
    return (title for title, step in steps_with_titles(run) if step["state"] == State.RUNNING)


def _runs_of(context: typer.Context, repo: str, incomplete: str) -> list[str]:
    from web.client.api import repo_path

    path = f"{repo_path(repo)}/runs"
    return fitting(_values(context, path, "number", {"limit": NAMES_COUNT_MAX}), incomplete)


def _values(context: typer.Context, path: str, key: str, asked: Mapping[str, str | int]) -> list[str]:
    """The values of a key in a list that the server answers with."""
    return _asked(context, lambda api: (each[key] for each in api.get(path, asked)))


def _asked(context: typer.Context, question: "Callable[[Api], Iterable[object]]") -> list[str]:
    """What the server answers; nothing if it takes too long, byte by byte as well."""
    from web.client.api import connected
    from web.client.servers import find_server, named_server

    found: list[str] = []
    given = str(context.params.get("server") or "")

    def ask() -> None:
        # A sentence about what is wrong would end up on the line that is being written.
        with suppress(Exception):
            if context.command.name in _OF_LAST_LOGIN or named_server(given, os.environ):
                with connected(find_server(given, os.environ)) as api:
                    found.extend(map(str, question(api)))

    thread = threading.Thread(target=ask, daemon=True)  # the process ends without it
    thread.start()
    thread.join(ANSWER_S)
    return [] if thread.is_alive() else found
