"""`headway repo roles` and `headway repo visibility`: who sees a repository."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors


class Audience(Enum):
    """Who sees a repository."""

    EVERYONE = "everyone"
    MEMBERS = "members"


@report_errors
def repo_roles(name: RepoName) -> None:
    """Lists the users with a role on a repository. headway user role changes them."""
    from web.operations.accounts import roles

    with operation_services() as services:
        for user, role in roles.list_roles(services, actor(), name):
            say(f"{user}\t{role.value}")


@report_errors
def repo_visibility(
    name: RepoName,
    audience: Annotated[
        Audience, typer.Argument(help="everyone who can log in, or members: users with a role, and administrators.")
    ],
) -> None:
    """Sets who sees a repository's runs and logs."""
    from web.operations.accounts import roles

    with operation_services() as services:
        roles.set_visible_to_all(services, actor(), name, visible=audience is Audience.EVERYONE)


REPO_COMMANDS: Mapping[str, Callable[..., None]] = {"roles": repo_roles, "visibility": repo_visibility}
