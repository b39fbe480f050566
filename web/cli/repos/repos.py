"""`headway repo`: adds repositories and changes their settings."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from pipelines.context import Trust
from pipelines.trigger import Event
from web.cli.helpers import RepoName, actor, operation_services, read_stdin, say
from web.cli.repos.connecting import repo_check
from web.cli.repos.forge_tokens import repo_token
from web.cli.repos.repo_add import HookFile, clone_address, repo_add, say_forgotten, show_webhook
from web.cli.repos.repo_retention import repo_retention
from web.cli.repos.repo_show import repo_rename, repo_show
from workers.cli.errors import report_errors
from workers.errors import StartError

_Choice = TypeVar("_Choice", bound=StrEnum)


@report_errors
def repo_url(
    name: RepoName,
    url: Annotated[str, typer.Argument(help="The address to clone from now.")],
    *,
    web_url: Annotated[str, typer.Option(help="Its page on the forge, if that does not follow from the address.")] = "",
) -> None:
    """Changes a repository's address after it was renamed or moved; its runs, secrets and webhook stay."""
    from web.operations.repos import addresses

    with operation_services() as services:
        changed = addresses.set_url(services, actor(), name, clone_address(url), web_url)
    typer.echo(f"{name} is cloned from {changed.clone_url} now.")
    say_forgotten(name, changed.forgotten)


@report_errors
def repo_hook(name: RepoName, hook_file: HookFile = None) -> None:
    """Makes a new webhook secret and shows where to enter it. The old secret stops working."""
    from web.operations.repos import repos

    with operation_services() as services:
        show_webhook(repos.renew_webhook_secret(services, actor(), name), hook_file)


@report_errors
def repo_login(
    name: RepoName, username: Annotated[str, typer.Option("--username", "-u", help="The account, or a token's name.")]
) -> None:
    """Sets the login for cloning a private repository; the password or token is read from standard input."""
    from web.operations.repos import repos

    password = read_stdin("Password")
    with operation_services() as services:
        repos.set_clone_login(services, actor(), name, username, password)


@report_errors
def repo_trust(
    name: RepoName,
    *,
    network: Annotated[
        bool, typer.Option("--network", help="Steps and builds may choose networks, DNS and hosts.")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Steps may mount folders and devices of the host.")
    ] = False,
    security: Annotated[
        bool, typer.Option("--security", help="Steps may be privileged, and builds may use any frontend.")
    ] = False,
    ssh: Annotated[bool, typer.Option("--ssh", help="Builds may use the worker's SSH agent.")] = False,
) -> None:
    """Sets what pipelines may ask of the host; without an option, nothing. Each option can give root on the host."""
    from web.operations.repos import repos

    with operation_services() as services:
        repos.set_trust(services, actor(), name, Trust(network=network, volumes=volumes, security=security, ssh=ssh))


@report_errors
def repo_untrusted(
    name: RepoName,
    *,
    runs: Annotated[str, typer.Option(help="approve: they wait for a maintainer; run: at once; never.")] = "approve",
    pipeline_from: Annotated[
        str, typer.Option(help="Whose pipeline file they have: of the commit, or of the base, the branch they change.")
    ] = "commit",
) -> None:
    """Sets what happens to runs from forks, and of commits on no branch or tag; without an option, the defaults."""
    from web.operations.repos import repos
    from workers.access.trust import PipelineFrom, UntrustedRuns

    chosen = _one_of(UntrustedRuns, runs, "--runs"), _one_of(PipelineFrom, pipeline_from, "--pipeline-from")
    with operation_services() as services:
        repos.set_untrusted_runs(services, actor(), name, *chosen)


def _one_of(kind: type[_Choice], value: str, option: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise StartError(f"{option} {value} is not possible: choose {', '.join(kind)}.") from None


@report_errors
def repo_newest_wins(
    name: RepoName,
    *,
    push: Annotated[bool, typer.Option("--push", help="A newer push to a branch ends runs of older ones.")] = False,
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="A newer commit of a pull request ends runs of older ones.")
    ] = False,
) -> None:
    """Sets when a newer run ends older ones of the same branch or pull request; without an option, never."""
    from web.operations.repos import repos

    chosen = {Event.PUSH: push, Event.PULL_REQUEST: pull_request}
    with operation_services() as services:
        repos.set_newest_wins(services, actor(), name, [event for event, wanted in chosen.items() if wanted])


@report_errors
def repo_list() -> None:
    """Lists all repositories: name, forge, address."""
    from web.operations.repos import repos

    with operation_services() as services:
        for repo in repos.list_repos(services, actor()):
            say(f"{repo.name}\t{repo.forge}\t{repo.clone_url}")


@report_errors
def repo_remove(name: RepoName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Removes a repository with all its runs and logs."""
    from web.operations.repos import repos

    if not yes:
        typer.confirm(f"Remove {name} with all its runs and logs?", abort=True)
    with operation_services() as services:
        repos.remove(services, actor(), name)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "add": repo_add,
    "check": repo_check,
    "list": repo_list,
    "show": repo_show,
    "rename": repo_rename,
    "url": repo_url,
    "hook": repo_hook,
    "login": repo_login,
    "token": repo_token,
    "trust": repo_trust,
    "newest-wins": repo_newest_wins,
    "untrusted": repo_untrusted,
    "retention": repo_retention,
    "remove": repo_remove,
}
