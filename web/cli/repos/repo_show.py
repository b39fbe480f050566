"""`headway repo show` and `headway repo rename`."""

from typing import Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors


@report_errors
def repo_show(name: RepoName) -> None:
    """Shows all settings of a repository. Of logins, tokens and secrets it says only whether they are set."""
    from web.operations.repos import repo_details

    with operation_services() as services:
        for what, value in repo_details.details(services, actor(), name):
            say(f"{what}\t{value}")


@report_errors
def repo_rename(
    name: RepoName, new_name: Annotated[str, typer.Argument(help="Its new name.", show_default=False)]
) -> None:
    """Gives a repository another name. Old addresses of its pages and its webhook go on working."""
    from web.operations.repos import addresses

    with operation_services() as services:
        renamed = addresses.rename(services, actor(), name, new_name)
        say(f"{name} is {renamed.name} now. Its webhook is {renamed.hook_url}; the old address works, too.")
        if renamed.taken_from:
            say(
                f"{renamed.name} was a former name of {renamed.taken_from}: its webhook with that name works no longer."
            )
