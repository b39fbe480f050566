"""What `headway repo add` and `repo check` ask a forge, and how they print it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    import httpx2

    from web.operations.connecting.findings import Finding
    from workers.settings import Settings


@contextmanager
def forge_client(settings: "Settings") -> Iterator["httpx2.Client"]:
    """An HTTP client that knows the company's proxies and certificate authority."""
    from runner.network.egress import server_egress
    from workers.forges.http import make_client

    with make_client(server_egress(os.environ, settings.ca_file, step_proxy=settings.step_proxy)) as client:
        yield client


def show(name: str, findings: Iterable["Finding"]) -> None:
    """Prints each finding when it is known. Ends the command with status 1 if anything is missing."""
    from web.operations.connecting.findings import Result

    missing = 0
    for finding in findings:
        missing += finding.result is Result.MISSING
        typer.echo(f"{finding.result:<8} {finding.what}: {finding.sentence}")
    if not missing:
        typer.echo(f"{name} is connected.")
        return
    things = "one thing is" if missing == 1 else f"{missing} things are"
    typer.echo(f"{name} is not connected: {things} missing. `headway repo check {name}` tests it again.")
    raise typer.Exit(1)


@report_errors
def repo_check(
    name: RepoName,
    *,
    mend: Annotated[bool, typer.Option("--mend", help="Make or mend the webhook.")] = False,
) -> None:
    """Tests a repository's connection: token, webhook, a test delivery, cloning. Status 1 if something is missing."""
    from web.operations.connecting import connection

    with operation_services() as services, forge_client(services.settings) as client:
        show(name, connection.check(services, actor(), client, name, mend=mend))
