"""Which run and step the words of ``headway shell`` mean."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from web.client.api import Api, UnreachableError, run_path
from web.client.logs import steps_with_titles
from web.client.servers import Server, find_server, server_url
from web.client.triggers import run_in_address
from workers.errors import StartError

_LISTED_COUNT_MAX = 20
_FORM = "Write: headway shell REPO RUN STEP"


class RunPlace(NamedTuple):
    """A run on a server. ``guessed``: its repository is the one that this folder's remote has."""

    server: Server
    repo: str
    number: int
    guessed: bool = False


class _Listed(NamedTuple):
    step_id: int
    shown: str


def run_meant(words: Sequence[str], server: str, repo_here: Callable[[], str]) -> RunPlace:
    """The run of ``[REPO] RUN``, where RUN is a number or the address of the run's page. Raises StartError."""
    *repo, run = words
    if not repo and "://" in run:
        base, name, number = run_in_address(run, "RUN")
        if server and server_url(server, "--server") != base:
            raise StartError(f"--server is another server than that of {run[:200]}. Leave it out.")
        return RunPlace(find_server(base, os.environ), name, number)
    number = _number(run)
    return RunPlace(find_server(server, os.environ), *((repo[0], number) if repo else (repo_here(), number, True)))


def _number(text: str) -> int:
    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15 and int(digits)):  # noqa: PLR2004 - 2**53
        raise StartError(f"RUN is no number of a run and no address of its page: {text[:200]!r}. {_FORM}.")
    return int(digits)


def find_step(api: Api, place: RunPlace, word: str) -> int:
    """The id of the step of the run that the word means. Raises StartError."""
    try:
        run = api.get(run_path(place.repo, place.number))
    except UnreachableError:
        raise
    except StartError as error:
        hint = f" {place.repo} is what this folder's remote is called; for another one: {_FORM[7:]}."
        raise StartError(f"{error}{hint if place.guessed else ''}") from None
    return one_step(run, word)


def one_step(run: Mapping[str, Any], word: str) -> int:
    """The id of the one step that has this name or number, alone or behind ``WORKFLOW/``. Raises StartError."""
    named, numbered, listed = list[_Listed](), list[_Listed](), list[_Listed]()
    for title, step in steps_with_titles(run):
        each = _Listed(int(step["id"]), f"{title!r} ({step['state']}, number {step['number']})")
        listed.append(each)
        if word in {title, step["name"]}:
            named.append(each)
        elif word in {str(step["number"]), f"{title.removesuffix(step['name'])}{step['number']}"}:
            numbered.append(each)
    found = named or numbered
    if not found:
        raise StartError(f"Run {run['number']} has no step {word[:200]!r}. Its steps: {_text(listed)}.")
    if len(found) > 1:
        raise StartError(f"Run {run['number']} has several steps {word[:200]!r}: {_text(found)}. Name one of them.")
    return found[0].step_id


def _text(listed: Sequence[_Listed]) -> str:
    more = len(listed) - _LISTED_COUNT_MAX
    names = ", ".join(each.shown for each in listed[:_LISTED_COUNT_MAX])
    return f"{names} and {more} more" if more > 0 else names or "none"
