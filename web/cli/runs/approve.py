"""`headway approve`: lets an untrusted run go on, or rejects it."""

from typing import Annotated

import typer

from web.cli import completion
from web.cli.helpers import ServerOption, ServerRepoName, actor, operation_services, remote_api, say
from workers.cli.errors import report_errors


@report_errors
def approve(
    repo: ServerRepoName,
    number: Annotated[
        int, typer.Argument(min=1, help="The run's number.", show_default=False, autocompletion=completion.runs)
    ],
    *,
    reject: Annotated[bool, typer.Option("--reject", help="Cancel the run instead.")] = False,
    server: ServerOption = "",
) -> None:
    """Approves an untrusted run that waits for it, for its commit and author. It gets no secrets and pushes nothing."""
    from web.client import actions
    from web.operations.runs import runs

    with remote_api(server) as api:
        if api is not None:
            say(actions.approve(api, repo, number, reject=reject))
            return
    with operation_services() as services:
        (runs.reject if reject else runs.approve)(services, actor(), repo, number)
        say(services.settings.run_url(repo, number))
