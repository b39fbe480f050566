"""`headway repo`: adds repositories and changes their settings."""

from collections.abc import Callable, Mapping
from dataclasses import replace as dc_replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipelines.context import Trust
from pipelines.trigger import Event
from web.cli.connecting import forge_client, repo_check, show
from web.cli.forge_tokens import repo_token
from web.cli.helpers import RepoName, actor, operation_services, read_stdin, say
from workers.cli.errors import report_errors
from workers.errors import StartError

if TYPE_CHECKING:
    import httpx2

    from web.operations.repos import NewWebhook
    from workers.forges.detection import Detected
    from workers.store import NewRepo

_Choice = TypeVar("_Choice", bound=StrEnum)
HookFile = Annotated[Path | None, typer.Option(help="Write a plain repository's ready post-receive hook there.")]


@report_errors
def repo_add(
    url: Annotated[str, typer.Argument(help="The address to clone from: https, ssh, user@host:path or a local path.")],
    *,
    name: Annotated[str, typer.Option(help="Its name here; by default from the address.")] = "",
    forge: Annotated[str, typer.Option(help="generic, github, gitea (also Forgejo), gitlab or bitbucket.")] = "",
    web_url: Annotated[str, typer.Option(help="Its page on the forge.")] = "",
    branch: Annotated[str, typer.Option(help="Its default branch; by default what the forge says, or main.")] = "",
    private: Annotated[bool, typer.Option("--private", help="Cloning it needs a login.")] = False,
    push_repo: Annotated[str, typer.Option(help="Where to push its image if it has only a Dockerfile.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Change the repository if the name is taken.")] = False,
    hook_file: HookFile = None,
    token: Annotated[
        bool, typer.Option("--token", help="Connect it with a token of the forge, read from standard input.")
    ] = False,
    api: Annotated[str, typer.Option(help="The address of the forge's API, if it is not the usual one.")] = "",
) -> None:
    """Adds a repository and connects it: with --token by itself, else it shows what to do. It shows the secret once."""
    # Loaded here, because `headway run` needs none of it and must start fast.
    from pipelines.clone_address import forge_from, name_from
    from web.operations import repos
    from web.operations.connecting import clone_check, connection
    from workers.store import NewRepo

    address = Path(url).absolute().as_uri() if url.startswith(("/", "./", "../")) else url
    given = read_stdin("Token") if token else ""
    new = NewRepo(
        name=name or name_from(address),
        clone_url=address,
        forge=forge or forge_from(address),
        web_url=web_url,
        default_branch=branch or "main",
        private=private,
        push_repo=push_repo,
    )
    with operation_services() as services, forge_client(services.settings) as client:
        if token:
            repos.check_forge_token(given, api)
        found = _detected(client, new, asked=bool(forge or hook_file))
        new = dc_replace(new, forge=found.forge)
        webhook = repos.add(services, actor(), new, replace=replace)
        if found.said:
            typer.echo(found.said)
        shared = "" if token or hook_file else connection.shared_token(services, actor(), new.name)
        if new.forge == "generic" or not (token or shared):
            _show_webhook(webhook, hook_file)
            _say_what_is_left(new, closed=private or clone_check.is_closed(client, address), token=token)
            return
        typer.echo(f"Repository {webhook.repo_name}")
        findings = connection.connect(services, actor(), client, new.name, given, api or found.api_url, branch)
        show(webhook.repo_name, findings)


def _detected(client: "httpx2.Client", new: "NewRepo", *, asked: bool) -> "Detected":
    """The forge that was named or is known by its host, else what its host says that it is."""
    from workers.forges.detection import Detected, detect

    if asked or new.forge != "generic" or new.clone_url.startswith("file:"):
        return Detected(new.forge, "")
    return detect(client, new.clone_url)


def _say_what_is_left(new: "NewRepo", *, closed: bool, token: bool) -> None:
    if token:
        typer.echo("A plain git server has no API: the token was not used and is not kept.")
    if closed:
        typer.echo(
            f"{new.clone_url} cannot be cloned without a login: `headway repo login {new.name} -u ACCOUNT` sets one."
        )
    if new.forge != "generic":
        typer.echo(
            f"With a token of the forge Headway does all this itself, and reports statuses: `headway repo add "
            f"{new.clone_url} --replace --token` reads it from standard input. `headway repo check {new.name}` tests."
        )


@report_errors
def repo_url(
    name: RepoName,
    url: Annotated[str, typer.Argument(help="The address to clone from now.")],
    *,
    web_url: Annotated[str, typer.Option(help="Its page on the forge, if that does not follow from the address.")] = "",
) -> None:
    """Changes a repository's address after it was renamed or moved; its runs, secrets and webhook stay."""
    from web.operations import repos

    address = Path(url).absolute().as_uri() if url.startswith(("/", "./", "../")) else url
    with operation_services() as services:
        changed = repos.set_url(services, actor(), name, address, web_url)
    typer.echo(f"{name} is cloned from {changed.clone_url} now.")
    if changed.forgotten:
        typer.echo(
            f"Its logins were for another host and are forgotten: set them again with headway repo login {name} and "
            f"headway repo token {name}."
        )


@report_errors
def repo_hook(name: RepoName, hook_file: HookFile = None) -> None:
    """Makes a new webhook secret and shows where to enter it. The old secret stops working."""
    from web.operations import repos

    with operation_services() as services:
        _show_webhook(repos.renew_webhook_secret(services, actor(), name), hook_file)


def _show_webhook(webhook: "NewWebhook", hook_file: Path | None) -> None:
    say(f"Repository {webhook.repo_name}\nWebhook    {webhook.url}")
    if hook_file:
        _write_hook_file(webhook, hook_file)
        say(f"Hook       {hook_file}")
    else:
        say(f"Secret     {webhook.secret}   (shown this one time)\n\n{webhook.instructions}")


def _write_hook_file(webhook: "NewWebhook", path: Path) -> None:
    """Writes the ready post-receive hook. Only its owner may read it: it holds the secret."""
    from workers.forges import generic

    if webhook.forge != "generic":
        raise StartError(f"A hook file is for plain git repositories; {webhook.forge} is set up on its own pages.")
    try:
        path.touch(mode=0o700)
        path.chmod(0o700)
        path.write_text(generic.hook_script(webhook.url, webhook.secret))
    except OSError as error:
        raise StartError(f"The hook could not be written to {path}: {error.strerror}.") from None


@report_errors
def repo_login(
    name: RepoName, username: Annotated[str, typer.Option("--username", "-u", help="The account, or a token's name.")]
) -> None:
    """Sets the login for cloning a private repository; the password or token is read from standard input."""
    from web.operations import repos

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
    from web.operations import repos

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
    from web.operations import repos
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
    from web.operations import repos

    chosen = {Event.PUSH: push, Event.PULL_REQUEST: pull_request}
    with operation_services() as services:
        repos.set_newest_wins(services, actor(), name, [event for event, wanted in chosen.items() if wanted])


@report_errors
def repo_list() -> None:
    """Lists all repositories: name, forge, address."""
    from web.operations import repos

    with operation_services() as services:
        for repo in repos.list_repos(services, actor()):
            say(f"{repo.name}\t{repo.forge}\t{repo.clone_url}")


@report_errors
def repo_remove(name: RepoName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Removes a repository with all its runs and logs."""
    from web.operations import repos

    if not yes:
        typer.confirm(f"Remove {name} with all its runs and logs?", abort=True)
    with operation_services() as services:
        repos.remove(services, actor(), name)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "add": repo_add,
    "check": repo_check,
    "list": repo_list,
    "url": repo_url,
    "hook": repo_hook,
    "login": repo_login,
    "token": repo_token,
    "trust": repo_trust,
    "newest-wins": repo_newest_wins,
    "untrusted": repo_untrusted,
    "remove": repo_remove,
}
