"""`headway cron`: adds, switches, runs and removes crons."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import Inputs, RepoName, actor, operation_services, say
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    from workers.db.models import Cron

CronName = Annotated[str, typer.Argument(help="The cron's name.")]


@report_errors
def cron_add(
    repo: RepoName,
    name: CronName,
    expression: Annotated[
        str, typer.Argument(help='When: five fields such as "30 2 * * 1-5", or a short form such as @daily.')
    ],
    zone: Annotated[str, typer.Option(help="The time zone, such as Europe/Berlin.")] = "UTC",
    branch: Annotated[str, typer.Option(help="The branch; by default the repository's default branch.")] = "",
    inputs: Inputs = None,
) -> None:
    """Adds a cron, or changes the one of that name, and prints when it is due."""
    from web.operations.repos import crons

    with operation_services() as services:
        new = crons.cron_request(name, expression, zone, branch, inputs or ())
        _print_due(crons.put(services, actor(), repo, new))


@report_errors
def cron_list(repo: RepoName) -> None:
    """Lists a repository's crons: name, expression, time zone, branch, when it is due."""
    from web.operations.repos import crons

    with operation_services() as services:
        found, rows = crons.list_crons(services, actor(), repo)
        for cron, _ in rows:
            branch = cron.branch or found.default_branch
            say(f"{cron.name}\t{cron.expression}\t{cron.zone}\t{branch}\t{_due(cron.next_ms, cron.zone)}")


@report_errors
def cron_on(repo: RepoName, name: CronName) -> None:
    """Switches a cron on and prints when it is due."""
    _switch(repo, name, on=True)


@report_errors
def cron_off(repo: RepoName, name: CronName) -> None:
    """Switches a cron off; nothing else about it changes."""
    _switch(repo, name, on=False)


def _switch(repo: str, name: str, *, on: bool) -> None:
    from web.operations.repos import crons

    with operation_services() as services:
        _print_due(crons.switch(services, actor(), repo, name, on=on))


@report_errors
def cron_run(repo: RepoName, name: CronName) -> None:
    """Starts a cron's run now and prints its address. The time at which it is due next does not change."""
    from web.operations.repos import crons

    with operation_services() as services:
        queued = crons.run_now(services, actor(), repo, name)
        say(services.settings.run_url(repo, queued.number))


@report_errors
def cron_remove(repo: RepoName, name: CronName) -> None:
    """Removes a cron. Its runs stay."""
    from web.operations.repos import crons

    with operation_services() as services:
        crons.remove(services, actor(), repo, name)


def _print_due(cron: "Cron") -> None:
    due = _due(cron.next_ms, cron.zone)
    say(f"{cron.name}: {due}" if cron.next_ms is None else f"{cron.name}: next run {due}")


def _due(next_ms: int | None, zone: str) -> str:
    from web.pages.filters import clock

    return "off" if next_ms is None else clock(next_ms, zone)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "add": cron_add,
    "list": cron_list,
    "on": cron_on,
    "off": cron_off,
    "run": cron_run,
    "remove": cron_remove,
}
