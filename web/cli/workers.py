"""`headway worker drain` and `undrain`: which workers take jobs."""

from typing import Annotated

import typer

from web.cli.helpers import actor, operation_services, say
from workers.cli.errors import report_errors

WorkerName = Annotated[str, typer.Argument(help="The worker's name, as on the page Workers.", show_default=False)]


@report_errors
def drain(name: WorkerName) -> None:
    """Lets a worker take no new job. It ends when its jobs have ended."""
    from web.operations import workers

    with operation_services() as services:
        workers.set_drained(services, actor(), name, drained=True)
        say(f"{name} takes no new job, and ends when its jobs have ended.")


@report_errors
def undrain(name: WorkerName) -> None:
    """Lets a drained worker take jobs again, if it has not ended."""
    from web.operations import workers

    with operation_services() as services:
        workers.set_drained(services, actor(), name, drained=False)
        say(f"{name} takes jobs.")


COMMANDS = (drain, undrain)
