"""`headway delivery`: lists webhook deliveries, shows one with its payload, and replays one."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors
from workers.db.delivery_states import DeliveryState

if TYPE_CHECKING:
    from workers.db.models import Delivery

DeliveryId = Annotated[
    int, typer.Argument(help="The delivery's id, as in the list.", min=1, max=2**53, show_default=False)
]


@report_errors
def delivery_list(
    repo: RepoName,
    count: Annotated[int, typer.Option("-n", help="How many.", min=1, max=1000)] = 30,
    before: Annotated[
        int | None, typer.Option(help="Only those older than the one with this id.", min=1, max=2**53)
    ] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those with this verdict.")] = None,
) -> None:
    """Lists a repository's deliveries, the newest first: id, time, from, event, ref, verdict, run or reason."""
    from web.operations import deliveries
    from web.pages.filters import clock

    with operation_services() as services:
        _, found = deliveries.list_deliveries(services, actor(), repo, before, count, state)
        for each, run in found:
            when = clock(each.received_ms, "UTC")
            say(f"{each.id}\t{when}\t{_source(each)}\t{each.event}\t{each.ref}\t{each.state}\t{_outcome(each, run)}")


@report_errors
def delivery_show(repo: RepoName, delivery: DeliveryId) -> None:
    """Shows a delivery: what came of it, its headers, an empty line, and its payload."""
    from web.operations import deliveries
    from web.pages.filters import clock

    with operation_services() as services:
        shown = deliveries.show(services, actor(), repo, delivery)
        row = shown.delivery
        say(f"delivery: {row.id}\nreceived: {clock(row.received_ms, 'UTC')}\nfrom: {_source(row)}")
        if row.event:
            say(f"event: {row.event} {row.ref} {row.sha}")
        say(f"verdict: {row.state}\noutcome: {_outcome(row, shown.run)}")
        if shown.missing:
            say(shown.missing)
            return
        for name, value in shown.headers.items():
            say(f"header {name}: {value}")
        say(f"\n{shown.payload}")


@report_errors
def delivery_replay(repo: RepoName, delivery: DeliveryId) -> None:
    """Handles a delivery's payload again, as a new delivery, and prints the address of its run or why it has none."""
    from web.operations import deliveries

    with operation_services() as services:
        made, run = deliveries.replay(services, actor(), repo, delivery)
        outcome = services.settings.run_url(repo, run) if run is not None else made.reason
        say(f"delivery {made.id}: {outcome}")


def _source(delivery: "Delivery") -> str:
    match delivery.kind:
        case "replay":
            return f"replay of {delivery.repeats_id} by {delivery.replayed_by}"
        case "found":
            return "found by Headway"
        case _:
            return "webhook"


def _outcome(delivery: "Delivery", run: int | None) -> str:
    return delivery.reason if run is None else f"run {run}"


COMMANDS: Mapping[str, Callable[..., None]] = {
    "list": delivery_list,
    "show": delivery_show,
    "replay": delivery_replay,
}
