"""`headway user` and `headway audit`: who may do what, and who did."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import RepoName, actor, operation_services, say
from workers.cli.errors import report_errors
from workers.db.roles import Role

if TYPE_CHECKING:
    from web.operations.accounts.users import KnownUser

UserName = Annotated[str, typer.Argument(help="The user's name.")]
TakeRole = Annotated[str, typer.Argument(help="read, write or admin; none takes the role away.", metavar="ROLE")]


@report_errors
def user_add(
    name: UserName,
    is_admin: Annotated[bool, typer.Option("--admin", help="May do everything.")] = False,
) -> None:
    """Adds a user and shows a link that logs them in once. Without a role on a repository, they see none."""
    from web.operations.accounts import users

    with operation_services() as services:
        say(users.add(services, actor(), name, is_admin=is_admin))


@report_errors
def user_link(
    name: UserName,
    forget_password: Annotated[
        bool, typer.Option("--forget-password", help="Also remove the password, and end all sessions.")
    ] = False,
) -> None:
    """Shows a link that logs the user in once within a day."""
    from web.operations.accounts import users

    with operation_services() as services:
        say(users.make_login_link(services, actor(), name, forget_password=forget_password))


@report_errors
def user_list() -> None:
    """Lists all users: name, what they are, and their roles on repositories."""
    from web.operations.accounts import users

    with operation_services() as services:
        for known in users.list_users(services, actor()):
            say("\t".join(_columns(known)))


def _columns(known: "KnownUser") -> list[str]:
    columns = [known.row.name, "administrator" if known.row.is_admin else "user"]
    if known.roles:
        columns.append(", ".join(f"{repo} {role.value}" for repo, role in known.roles))
    return columns if known.row.disabled_ms is None else [*columns, "disabled"]


@report_errors
def user_admin(
    name: UserName,
    revoke: Annotated[bool, typer.Option("--revoke", help="Make the user an ordinary one again.")] = False,
) -> None:
    """Makes a user an administrator, who may do everything."""
    from web.operations.accounts import users

    with operation_services() as services:
        users.set_administrator(services, actor(), name, is_admin=not revoke)


@report_errors
def user_disable(name: UserName) -> None:
    """Keeps a user out: sessions end, and tokens stop working at once."""
    from web.operations.accounts import users

    with operation_services() as services:
        users.disable(services, actor(), name)


@report_errors
def user_enable(name: UserName) -> None:
    """Lets a disabled user in again."""
    from web.operations.accounts import users

    with operation_services() as services:
        users.enable(services, actor(), name)


@report_errors
def user_remove(name: UserName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Removes a user with sessions, tokens and roles. Runs and the audit log keep the name."""
    from web.operations.accounts import users

    if not yes:
        typer.confirm(f"Remove the user {name}?", abort=True)
    with operation_services() as services:
        users.remove(services, actor(), name)


@report_errors
def user_role(name: UserName, repo: RepoName, role: TakeRole) -> None:
    """Gives a user a role on a repository, or takes it away."""
    from web.operations.accounts import roles
    from workers.errors import StartError

    words = [each.value for each in Role]
    if role not in {*words, "none"}:
        raise StartError(f"{role!r} is no role: use {', '.join(words)} or none.")
    with operation_services() as services:
        if role == "none":
            roles.remove(services, actor(), repo, name)
        else:
            roles.put(services, actor(), repo, name, Role(role))


@report_errors
def audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many entries.")] = 100,
) -> None:
    """Shows who changed what, the newest first: time in UTC, who, from where, what, of what, and old and new values."""
    from web.operations import audit as log
    from web.pages.filters import iso

    with operation_services() as services:
        for entry in log.entries(services, actor(), None, limit):
            columns = (iso(entry.at_ms), entry.actor, entry.source, entry.action, entry.target, entry.detail)
            say("\t".join(columns).rstrip())


USER_COMMANDS: Mapping[str, Callable[..., None]] = {
    "add": user_add,
    "link": user_link,
    "list": user_list,
    "role": user_role,
    "admin": user_admin,
    "disable": user_disable,
    "enable": user_enable,
    "remove": user_remove,
}
