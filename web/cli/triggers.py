"""Verbs that start runs, by hand and by cron."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import administrator
from web.cli.verbs import RepoName
from workers.cli.errors import told
from workers.errors import StartError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workers.db.models import Cron
    from workers.settings import Settings
    from workers.store import Queued

CronName = Annotated[str, typer.Argument(help="The cron's name.")]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="NAME=VALUE for the steps' environment; any number of them.")
]


@dataclass(frozen=True)
class _Desk:
    """What one command works with. It may know nothing of the Redis that ``headway serve`` runs for itself alone."""

    engine: "Engine"
    settings: "Settings"

    def ring(self, job_id: int) -> None:
        """The scheduler looks once a second."""
        from workers.db.session import transaction
        from workers.store import leases

        with transaction(self.engine) as session:
            leases.let_scheduler_notify(session, job_id)


@contextmanager
def _desk() -> Iterator[_Desk]:
    """The server's database, for one command. Refusals become StartError."""
    # Loaded here, for `headway run` needs none of it and must start fast.
    from fastapi import HTTPException

    from workers.triggers.manual import InvalidRequestError

    with administrator() as admin:
        try:
            yield _Desk(admin.engine, admin.settings)
        except HTTPException as error:
            raise StartError(error.detail) from None
        except InvalidRequestError as error:
            raise StartError(str(error)) from None


@told
def trigger(
    repo: RepoName,
    branch: Annotated[str, typer.Option(help="The branch; by default the repository's default branch.")] = "",
    tag: Annotated[str, typer.Option(help="A tag instead of a branch.")] = "",
    commit: Annotated[str, typer.Option(help="A commit on it, whole or its first digits; by default the last.")] = "",
    inputs: Inputs = None,
    deploy_to: Annotated[str, typer.Option(help="Makes the run a deployment to this target.")] = "",
    task: Annotated[str, typer.Option(help="What the deployment does.")] = "",
) -> None:
    """Starts a run by hand and prints its address."""
    from web.operations import actions
    from workers.triggers.manual import ManualRun, event_for, inputs_from

    with _desk() as desk:
        asked = ManualRun(branch, tag, commit, inputs_from(inputs or ()), event_for(deploy_to), deploy_to, task)
        _say_run(desk, repo, actions.start(desk, repo, asked, _me()))


@told
def cron_add(
    repo: RepoName,
    name: CronName,
    expression: Annotated[
        str, typer.Argument(help='When: five fields such as "30 2 * * 1-5", or @daily and its like.')
    ],
    zone: Annotated[str, typer.Option(help="The time zone, such as Europe/Berlin.")] = "UTC",
    branch: Annotated[str, typer.Option(help="The branch; by default the repository's default branch.")] = "",
    inputs: Inputs = None,
) -> None:
    """Adds a cron, or changes the one of that name, and prints when it is due."""
    from web.operations import actions
    from workers.triggers.crons import NewCron
    from workers.triggers.manual import inputs_from

    with _desk() as desk:
        new = NewCron(name, expression, zone, branch, inputs_from(inputs or ()))
        _say_due(actions.put_cron(desk, repo, new))


@told
def cron_list(repo: RepoName) -> None:
    """Shows a repository's crons: name, expression, time zone, branch, when it is due."""
    from web.operations.lookup import repo_named
    from workers import store
    from workers.db.session import reading

    with _desk() as desk, reading(desk.engine) as session:
        found = repo_named(session, repo)
        for cron, _ in store.crons_of(session, found.id):
            branch = cron.branch or found.default_branch
            typer.echo(f"{cron.name}\t{cron.expression}\t{cron.zone}\t{branch}\t{_due(cron.next_ms, cron.zone)}")


@told
def cron_on(repo: RepoName, name: CronName) -> None:
    """Switches a cron on and prints when it is due."""
    _switch(repo, name, on=True)


@told
def cron_off(repo: RepoName, name: CronName) -> None:
    """Switches a cron off; nothing else about it changes."""
    _switch(repo, name, on=False)


def _switch(repo: str, name: str, *, on: bool) -> None:
    from web.operations import actions

    with _desk() as desk:
        _say_due(actions.switch_cron(desk, repo, name, on=on))


@told
def cron_run(repo: RepoName, name: CronName) -> None:
    """Starts a cron's run now and prints its address; when it is due next does not change."""
    from web.operations import actions

    with _desk() as desk:
        _say_run(desk, repo, actions.run_cron(desk, repo, name, _me()))


@told
def cron_remove(repo: RepoName, name: CronName) -> None:
    """Removes a cron. Its runs stay."""
    from web.operations import actions

    with _desk() as desk:
        actions.drop_cron(desk, repo, name)


def _say_run(desk: _Desk, repo: str, queued: "Queued") -> None:
    typer.echo(desk.settings.run_url(repo, queued.number))


def _say_due(cron: "Cron") -> None:
    due = _due(cron.next_ms, cron.zone)
    typer.echo(f"{cron.name}: {due}" if cron.next_ms is None else f"{cron.name}: next run {due}")


def _due(next_ms: int | None, zone: str) -> str:
    from web.pages.filters import clock

    return "off" if next_ms is None else clock(next_ms, zone)


def _me() -> str:
    """Who runs this command, by the machine's name for them."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # a user number without a name, as in a container
        return "command line"


CRON_VERBS: Mapping[str, Callable[..., None]] = {
    "add": cron_add,
    "list": cron_list,
    "on": cron_on,
    "off": cron_off,
    "run": cron_run,
    "remove": cron_remove,
}
