"""`headway repo retention`: how long a repository's runs, logs and deliveries are kept."""

from typing import Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors


@report_errors
def repo_retention(
    name: RepoName,
    *,
    log_days: Annotated[int | None, typer.Option(help="Days for which logs are kept.", show_default=False)] = None,
    run_days: Annotated[
        int | None, typer.Option(help="Days for which finished runs are kept.", show_default=False)
    ] = None,
    run_count: Annotated[int | None, typer.Option(help="How many finished runs are kept.", show_default=False)] = None,
    delivery_days: Annotated[
        int | None, typer.Option(help="Days for which deliveries are kept.", show_default=False)
    ] = None,
    delivery_count: Annotated[
        int | None, typer.Option(help="How many deliveries are kept.", show_default=False)
    ] = None,
) -> None:
    """Sets all limits of what a repository keeps, within the server's. A limit that is not given is the server's."""
    from web.operations import retention

    values = {
        "log_days": log_days,
        "run_days": run_days,
        "run_count": run_count,
        "delivery_days": delivery_days,
        "delivery_count": delivery_count,
    }
    with operation_services() as services:
        retention.set_retention(services, actor(), name, values)
        say(f"{name} keeps {retention.in_words(values) or 'what the server sets'}.")
