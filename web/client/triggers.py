"""What started a run on a server, for the commands that do the same on this computer."""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from pipelines.state import Reason
from pipelines.trigger import PullRequest, Trigger
from runner.errors import StepError
from web.client.api import connected, run_path
from web.client.servers import find_server
from workers.errors import StartError

_RUN = re.compile(r"(?P<base>.*?)(?:/api)?/repos/(?P<repo>.+)/runs/(?P<number>[0-9]{1,15})(?:/.*)?")
_FORM = "Copy it from the browser, such as https://ci.example.com/repos/team/app/runs/41"


def trigger_of_run(url: str) -> Trigger:
    """What started the run that has its page at this address. Raises StepError."""
    try:
        base, repo, number = run_in_address(url, "--like")
        with connected(find_server(base, os.environ)) as api:
            found = api.get(f"{run_path(repo, number)}/trigger")
    except StartError as error:
        raise StepError(Reason.INVALID_PIPELINE, str(error)) from None
    try:
        return _known_part(found)
    except (ValidationError, TypeError, AttributeError):
        sentence = f"what {base} says of run {number} is no trigger; use the version of headway that the server has"
        raise StepError(Reason.INVALID_PIPELINE, sentence) from None


def run_in_address(url: str, source: str) -> tuple[str, str, int]:
    """The server's address, the repository, and the run's number. Raises StartError, which names ``source``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    found = _RUN.fullmatch(parts.path)
    if found is None or parts.scheme not in {"http", "https"}:
        raise StartError(f"{source} is no address of a run's page: {url[:200]!r}. {_FORM}")
    base = parts._replace(path=found["base"], query="", fragment="").geturl()
    return base, unquote(found["repo"]), int(found["number"])


def _known_part(found: Mapping[str, Any]) -> Trigger:
    """Without fields that only a newer server knows."""
    given = {name: value for name, value in found.items() if name in Trigger.model_fields}
    if pull := given.get("pull_request"):
        given["pull_request"] = {name: value for name, value in pull.items() if name in PullRequest.model_fields}
    return Trigger.model_validate(given)
