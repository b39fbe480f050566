"""What a shell completes of commands that speak to a server: repositories, and the newest runs of one.

The server has a second for its answer: whatever goes wrong, the shell shows no names and no sentence.
"""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress

import typer

from runner.cli.completed_names import NAMES_COUNT_MAX, fitting

ANSWER_S = 1.0
_REPOS_COUNT_MAX = 1000
_ONLY_OF_SERVERS = frozenset({"runs", "logs", "cancel", "open"})
"""Commands that speak to the last server of ``headway login`` where none is named; others are for this machine then."""


def repos(context: typer.Context, incomplete: str) -> list[str]:
    """The repositories whose names begin like this."""
    # Names behind the last but one character: those that begin like this, and the one that is just this, come first.
    return fitting(
        _values(context, "/repos", "name", {"limit": _REPOS_COUNT_MAX, "after": incomplete[:-1]}), incomplete
    )


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """The numbers of the newest runs of the repository that the command line names."""
    from web.client.api import repo_path

    path = f"{repo_path(str(context.params.get('repo') or ''))}/runs"
    return fitting(_values(context, path, "number", {"limit": NAMES_COUNT_MAX}), incomplete)


def _values(context: typer.Context, path: str, key: str, asked: Mapping[str, str | int]) -> list[str]:
    """The values of a key in a list that the server answers with; none if it takes too long, byte by byte as well."""
    from web.client.api import connected
    from web.client.servers import find_server, named_server

    found: list[str] = []
    given = str(context.params.get("server") or "")

    def ask() -> None:
        # A sentence about what is wrong would end up on the line that is being written.
        with suppress(Exception):
            if context.command.name in _ONLY_OF_SERVERS or named_server(given, os.environ):
                with connected(find_server(given, os.environ)) as api:
                    found.extend(str(each[key]) for each in api.get(path, asked))

    thread = threading.Thread(target=ask, daemon=True)  # the process ends without it
    thread.start()
    thread.join(ANSWER_S)
    return [] if thread.is_alive() else found
