"""`headway run --remote`: sends a working tree to a server, follows its run, and cancels it after Ctrl-C."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.state import Reason, State
from pipelines.visible import visible_line
from runner.errors import StepError
from web.client.api import Api, UnknownError, connected, repo_path, run_path
from web.client.logs import LogReader
from web.client.output import to_output
from web.client.servers import find_server
from workers.errors import StartError


def run_on_server(
    server: str, repo: str, commit: str, base: str, branch: str, inputs: Sequence[str], pack: Path, *, no_reuse: bool
) -> State:  # fmt: skip
    """Sends the pack and prints the log of its run until it has ended. Returns how it ended. Raises StepError.

    After Ctrl-C the run is canceled, and KeyboardInterrupt goes on.
    """
    asked: dict[str, str | Sequence[str]] = {"commit": commit, "base": base, "branch": branch, "input": inputs}
    if no_reuse:
        asked["no_reuse"] = "true"
    try:
        with connected(find_server(server, os.environ)) as api:
            given = {name: value for name, value in asked.items() if value}
            found = _sent(api, repo, given, pack)
            _say(f"run {found['run']}: {found['url']}")
            return _follow(api, repo, int(found["run"]))
    except StartError as error:
        raise StepError(Reason.INVALID_PIPELINE, str(error)) from None


def _sent(api: Api, repo: str, given: Mapping[str, str | Sequence[str]], pack: Path) -> Mapping[str, str]:
    """The answer to the pack: the run's number and address."""
    try:
        answer: Mapping[str, str] = api.send(f"{repo_path(repo)}/runs/sent", given, pack)
    except UnknownError as error:
        raise StartError(f"{error} If the server has it under another name: --repo NAME.") from None
    return answer


def _follow(api: Api, repo: str, number: int) -> State:
    try:
        state = LogReader(api, to_output(), lambda title: _say(f"==> {title}")).follow(repo, number, "")
    except KeyboardInterrupt:
        try:
            api.post(f"{run_path(repo, number)}/cancel")
            _say(f"run {number} is asked to stop")
        except StartError as error:
            _say(f"run {number} goes on: it could not be canceled: {error}")
        raise
    sentence = str(api.get(run_path(repo, number))["sentence"])
    _say(f"{state}: {sentence}" if sentence else state)
    return state


def _say(text: str) -> None:
    sys.stderr.write(f"{visible_line(text)}\n")
    sys.stderr.flush()
