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
    reset: Annotated[bool, typer.Option("--reset", help="First give all limits back to the server.")] = False,
) -> None:
    """Sets limits of what a repository keeps, within the server's; without an option, shows them."""
    from web.operations.repos import retention

    given: dict[str, int | None] = {
        "log_days": log_days,
        "run_days": run_days,
        "run_count": run_count,
        "delivery_days": delivery_days,
        "delivery_count": delivery_count,
    }
    changed = {limit: value for limit, value in given.items() if value is not None}
    with operation_services() as services:
        values = {} if reset else retention.own_retention(services, actor(), name)
        values |= changed
        if changed or reset:
            retention.set_retention(services, actor(), name, values)
        say(f"{name} keeps {retention.in_words(values) or 'what the server sets'}.")
