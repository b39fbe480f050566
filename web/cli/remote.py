"""The commands that only speak to a server's API: `headway login`, `logout`, `runs`, `logs`, `cancel`, `open`."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.state import State
from web.cli import completion
from web.cli.helpers import RunNumber, ServerOption, ServerRepoName, read_stdin, say
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    from web.client.api import Api

RUNS_COUNT_MAX = 200


@contextmanager
def _api(server: str) -> "Iterator[Api]":
    from web.client.api import connected
    from web.client.servers import find_server

    with connected(find_server(server, os.environ)) as api:
        yield api


@report_errors
def login(
    url: Annotated[str, typer.Argument(help="The server, such as https://ci.example.com.", show_default=False)],
) -> None:
    """Keeps a token for a server, for the commands that speak to it. The token comes from standard input."""
    from web.client.api import connected
    from web.client.servers import Server, keep_token, server_url
    from workers.errors import StartError

    address = server_url(url, "The address")
    token = read_stdin(f"A token for {address}, made on its page Account").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise StartError("What came is no token. Make one on the server's page Account, and paste it.")
    server = Server(address, token)
    with connected(server) as api:
        account = api.get("/account")
    say(f"Logged in to {address} as {account['name']}. The token is kept in {keep_token(server, os.environ)}.")


@report_errors
def logout(
    url: Annotated[str, typer.Argument(help="The server.", show_default=False)],
) -> None:
    """Removes the token that is kept for a server. To revoke it, use the server's page Account."""
    from web.client.servers import forget_token, server_url

    address = server_url(url, "The address")
    say(f"Logged out of {address}." if forget_token(address, os.environ) else f"No token is kept for {address}.")


@report_errors
def runs(
    repo: Annotated[
        str, typer.Argument(help="The repository's name; by default all repositories.", autocompletion=completion.repos)
    ] = "",
    branch: Annotated[str, typer.Option(help="Only runs of this branch.")] = "",
    state: Annotated[str, typer.Option(help="Only runs in this state, such as failed.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, max=RUNS_COUNT_MAX, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Prints what the API answers, as JSON.")] = False,
    server: ServerOption = "",
) -> None:
    """Lists the newest runs of a server: repository, number, state, branch, commit, title."""
    from web.client.api import repo_path
    from workers.errors import StartError

    if not repo and (branch or state):
        raise StartError("--branch and --state need the name of a repository.")
    asked: dict[str, str | int] = {"limit": limit}
    asked |= {name: value for name, value in {"branch": branch, "state": state}.items() if value}
    with _api(server) as api:
        found = api.get(f"{repo_path(repo)}/runs" if repo else "/runs", asked)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for run in found:
        say("\t".join(_columns(run, repo)))


def _columns(run: Mapping[str, Any], repo: str) -> list[str]:
    from pipelines.visible import visible_line

    words = [repo or run["repo"], f"#{run['number']}", run["state"], run["branch"], run["sha"][:8], run["title"]]
    return [visible_line(str(word)) for word in words]


@report_errors
def logs(
    repo: ServerRepoName,
    run: RunNumber,
    step: Annotated[str, typer.Argument(help="A step: its name, or WORKFLOW/NAME; by default all.")] = "",
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Goes on until the run has ended; the exit status is its verdict.")
    ] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what the steps wrote to standard error.")] = False,
    server: ServerOption = "",
) -> None:
    """Prints the log of a run, one step after the other. With --follow as it is written."""
    from runner.cli.exit_status import OF_STATE
    from web.client.logs import LogReader
    from web.client.output import to_output

    stream = "stderr" if stderr else ""
    with _api(server) as api:
        reader = LogReader(api, to_output(), _say_step)
        verdict = reader.follow(repo, run, step, stream) if follow else reader.show(repo, run, step, stream)
    if follow and (status := OF_STATE.get(verdict, 0)):
        raise typer.Exit(status)


def _say_step(title: str) -> None:
    """The name of a step goes to the error output: what is saved or searched is the log alone."""
    from pipelines.visible import visible_line

    typer.echo(f"==> {visible_line(title)}", err=True)


@report_errors
def cancel(repo: ServerRepoName, run: RunNumber, server: ServerOption = "") -> None:
    """Cancels a run. One that has ended stays as it is."""
    from web.client.api import run_path

    with _api(server) as api:
        state = State(api.post(f"{run_path(repo, run)}/cancel")["state"])
    say(f"Run {run} is {state}." if state.final else f"Run {run} is asked to stop.")


@report_errors
def open_(
    repo: Annotated[
        str, typer.Argument(help="The repository's name; by default the front page.", autocompletion=completion.repos)
    ] = "",
    run: Annotated[int, typer.Argument(help="A run's number.", min=0, max=2**53, autocompletion=completion.runs)] = 0,
    server: ServerOption = "",
) -> None:
    """Opens a page of the server in the browser, and prints its address."""
    import webbrowser
    from urllib.parse import quote

    from web.client.servers import find_server

    path = f"/repos/{quote(repo, safe='/')}" if repo else "/"
    address = find_server(server, os.environ).url + (f"{path}/runs/{run}" if repo and run else path)
    say(address)
    webbrowser.open(address)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "login": login, "logout": logout, "runs": runs, "logs": logs, "cancel": cancel, "open": open_,
}  # fmt: skip
