"""`headway trigger`: starts a run by hand."""

from typing import Annotated

import typer

from web.cli.helpers import Inputs, NoReuse, ServerOption, ServerRepoName, actor, operation_services, remote_api, say
from workers.cli.errors import report_errors


@report_errors
def trigger(
    repo: ServerRepoName,
    branch: Annotated[str, typer.Option(help="The branch; by default the repository's default branch.")] = "",
    tag: Annotated[str, typer.Option(help="A tag instead of a branch.")] = "",
    commit: Annotated[str, typer.Option(help="A commit on it, whole or its first digits; by default the last.")] = "",
    inputs: Inputs = None,
    deploy_to: Annotated[str, typer.Option(help="Makes the run a deployment to this target.")] = "",
    task: Annotated[str, typer.Option(help="What the deployment does.")] = "",
    *,
    no_reuse: NoReuse = False,
    server: ServerOption = "",
) -> None:
    """Starts a run by hand and prints its address."""
    from web.client import actions
    from web.operations.runs import runs

    with remote_api(server) as api:
        if api is not None:
            asked = {"branch": branch, "tag": tag, "commit": commit, "target": deploy_to, "task": task}
            event = "deployment" if deploy_to else ""
            say(actions.start(api, repo, {**asked, "event": event, "no_reuse": no_reuse}, inputs or ()))
            return
    with operation_services() as services:
        request = runs.run_request(
            branch=branch,
            tag=tag,
            commit=commit,
            input_lines=inputs or (),
            target=deploy_to,
            task=task,
            by_admin=True,
            no_reuse=no_reuse,
        )
        queued = runs.start(services, actor(), repo, request)
        say(services.settings.run_url(repo, queued.number))
