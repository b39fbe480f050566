"""`headway rerun`: runs a run again, or a part of it."""

from typing import Annotated

import typer

from web.cli.helpers import NoReuse, RunNumber, ServerOption, ServerRepoName, actor, operation_services, remote_api, say
from workers.cli.errors import report_errors


@report_errors
def rerun(
    repo: ServerRepoName,
    run: RunNumber,
    failed: Annotated[bool, typer.Option("--failed", help="Only the jobs that did not pass.")] = False,
    jobs: Annotated[
        list[str] | None,
        typer.Option("--job", help="Only this job: a workflow's name, or with a cell's values; any number of them."),
    ] = None,
    from_step: Annotated[
        bool,
        typer.Option("--from-failed-step", help="Failed jobs go on from the step that failed, with their files."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the run's page and the audit log.")] = "",
    no_reuse: NoReuse = False,
    server: ServerOption = "",
) -> None:
    """Runs a run again under a new number and prints its address. Jobs that do not run again are carried over."""
    from web.client import actions
    from web.operations.reruns.request import asked_for
    from web.operations.runs import runs

    with remote_api(server) as api:
        if api is not None:
            request = {"failed": failed, "jobs": jobs or [], "from_failed_step": from_step, "reason": reason}
            say(actions.rerun(api, repo, run, {**request, "no_reuse": no_reuse}))
            return
    with operation_services() as services:
        asked = asked_for(failed=failed, jobs=jobs or (), from_step=from_step)
        queued = runs.rerun(services, actor(), repo, run, asked, reason, no_reuse=no_reuse)
        say(services.settings.run_url(repo, queued.number))
