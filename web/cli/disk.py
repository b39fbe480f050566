"""`headway disk`: what uses how much, and what retention removes."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import actor, operation_services, say
from workers.cli.errors import report_errors

if TYPE_CHECKING:
    from web.operations.disk import DiskUse, MachineUse

DISK = typer.Typer(help="What uses how much, as it was measured last; clean removes what is too old or too many.")


@report_errors
def disk(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON, for programs.")] = False,
) -> None:
    """Shows what uses how much of the database, the blob store and the machines' disks."""
    if context.invoked_subcommand is not None:
        return
    from web.operations.disk import disk_use

    with operation_services() as services:
        use = disk_use(services, actor())
    if as_json:
        say(json.dumps(asdict(use), indent=2))
        return
    for line in _lines(use):
        say(line)


@report_errors
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much would be removed.")] = False,
) -> None:
    """Removes now what the scheduler removes over time: runs, deliveries and logs that are too old or too many."""
    from math import inf

    from workers.back_off import BackOff
    from workers.scheduler.old_logs_and_logins import delete_expired_logs, delete_marked_logs
    from workers.scheduler.old_runs_and_deliveries import OldRows

    with operation_services() as services:
        back_off, days = BackOff(), services.settings.retention_days
        rows = OldRows(services.engine, services.logs, services.settings.retention, back_off, round_s_max=inf)
        if dry_run:
            found = rows.count()
            say(f"{found.runs} runs and {found.deliveries} deliveries would be removed.")
            return
        delete_expired_logs(services.engine, services.logs, days, back_off)
        removed = rows.remove()
        say(f"Removed {removed.runs} runs and {removed.deliveries} deliveries.")
        for problem in filter(None, (back_off.problem(), delete_marked_logs(services.logs))):
            say(problem)


def _lines(use: "DiskUse") -> Iterator[str]:
    from web.operations.disk import WORDS
    from web.pages.filters import size

    if use.measured_ms is None:
        yield "The database and the logs are not measured yet: the scheduler does it in its first minute."
    else:
        yield f"shared\t\tmeasured {_moment(use.measured_ms)}"
    yield from (f"\t{size(count)}\t{WORDS.get(kind, kind)}" for kind, count in use.bytes.items())
    yield from (f"\t{count:,}\trows of {table}" for table, count in use.rows.items())
    for machine in use.machines:
        yield from _machine(machine)
    yield from (
        f"repository\t{size(repo.size_bytes)}\t{repo.name}: {repo.runs:,} runs, "
        f"{size(repo.log_bytes)} of logs, {size(repo.mirror_bytes)} of mirrors, {size(repo.cache_bytes)} of caches"
        for repo in use.repos
    )


def _machine(machine: "MachineUse") -> Iterator[str]:
    from web.operations.disk import WORDS
    from web.pages.filters import size

    yield f"{machine.host}\t\tmeasured {_moment(machine.measured_ms)}, data directory {machine.folder}"
    yield f"\t{size(machine.free_bytes)}\tfree of {size(machine.total_bytes)}: {machine.used_percent} % full"
    yield from (f"\t{size(count)}\t{WORDS.get(kind, kind)}" for kind, count in machine.bytes.items())
    if machine.problem:
        yield f"\t\t{machine.problem}"


def _moment(at_ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


DISK.callback(invoke_without_command=True)(disk)
DISK.command()(clean)
