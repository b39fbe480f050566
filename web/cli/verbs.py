"""Verbs that change what the server knows. Values of secrets come from standard input, never from arguments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.context import Trust
from pipelines.trigger import Event
from web.cli.helpers import administrator, from_stdin
from workers.cli.errors import told

if TYPE_CHECKING:
    from web.operations.admin import Hooked

RepoName = Annotated[str, typer.Argument(help="The repository's name.", show_default=False)]
OneRepo = Annotated[str, typer.Option("--repo", help="For this repository alone.")]
HookFile = Annotated[Path | None, typer.Option(help="Write a plain repository's ready post-receive hook there.")]


@told
def repo_add(
    url: Annotated[str, typer.Argument(help="Where it is cloned from: https, ssh, user@host:path or a local path.")],
    *,
    name: Annotated[str, typer.Option(help="Its name here; by default from the address.")] = "",
    forge: Annotated[str, typer.Option(help="generic, github, gitea (also Forgejo), gitlab or bitbucket.")] = "",
    web_url: Annotated[str, typer.Option(help="Its page on the forge.")] = "",
    branch: Annotated[str, typer.Option(help="Its default branch.")] = "main",
    private: Annotated[bool, typer.Option("--private", help="Cloning it needs a login.")] = False,
    push_repo: Annotated[str, typer.Option(help="Where it pushes its image if it has only a Dockerfile.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Change the repository if the name is taken.")] = False,
    hook_file: HookFile = None,
) -> None:
    """Adds a repository and says how to connect its forge. The webhook's secret is shown this one time."""
    # Loaded here, for `headway run` needs none of it and must start fast.
    from web.operations.admin import forge_from, name_from
    from workers.store import NewRepo

    address = Path(url).absolute().as_uri() if url.startswith(("/", "./", "../")) else url
    new = NewRepo(
        name=name or name_from(address),
        clone_url=address,
        forge=forge or forge_from(address),
        web_url=web_url,
        default_branch=branch,
        private=private,
        push_repo=push_repo,
    )
    with administrator() as admin:
        _show_hook(admin.add_repo(new, replace=replace), hook_file)


@told
def repo_hook(name: RepoName, hook_file: HookFile = None) -> None:
    """Makes a new webhook secret and says where to put it. The old one stops working."""
    with administrator() as admin:
        _show_hook(admin.renew_hook(name), hook_file)


def _show_hook(hooked: "Hooked", hook_file: Path | None) -> None:
    typer.echo(f"Repository {hooked.name}\nWebhook    {hooked.url}")
    if hook_file:
        hooked.write_hook(hook_file)
        typer.echo(f"Hook       {hook_file}")
    else:
        typer.echo(f"Secret     {hooked.secret}   (shown this one time)\n\n{hooked.setup}")


@told
def repo_login(
    name: RepoName, username: Annotated[str, typer.Option("--username", "-u", help="The account, or a token's name.")]
) -> None:
    """Keeps the login for cloning a private repository; the password or token is read from standard input."""
    password = from_stdin("Password")
    with administrator() as admin:
        admin.set_clone_login(name, username, password)


@told
def repo_token(
    name: RepoName,
    *,
    api: Annotated[str, typer.Option(help="The address of the forge's API, where it is not the usual one.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Tell the forge no more.")] = False,
) -> None:
    """Keeps the token with which the forge is told how each run of a commit goes; read from standard input."""
    token = "" if forget else from_stdin("Token")
    with administrator() as admin:
        if forget:
            admin.drop_forge_token(name)
        else:
            admin.set_forge_token(name, token, api)


@told
def repo_trust(
    name: RepoName,
    *,
    network: Annotated[bool, typer.Option("--network", help="Steps may choose networks, DNS and hosts.")] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Steps may mount folders and devices of the host.")
    ] = False,
    security: Annotated[bool, typer.Option("--security", help="Steps may be privileged.")] = False,
) -> None:
    """Says what pipelines of this repository may ask of the host; without an option, nothing. Any of it is root."""
    with administrator() as admin:
        admin.set_trust(name, Trust(network=network, volumes=volumes, security=security))


@told
def repo_newest_wins(
    name: RepoName,
    *,
    push: Annotated[bool, typer.Option("--push", help="Newer pushes end runs of older ones of the branch.")] = False,
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Newer commits of a pull request end runs of older ones.")
    ] = False,
) -> None:
    """Says when a newer run ends older ones of the same branch or pull request; without an option, never."""
    chosen = {Event.PUSH: push, Event.PULL_REQUEST: pull_request}
    with administrator() as admin:
        admin.set_newest_wins(name, [event for event, wanted in chosen.items() if wanted])


@told
def repo_list() -> None:
    """Shows all repositories: name, forge, address."""
    with administrator() as admin:
        for repo in admin.repos():
            typer.echo(f"{repo.name}\t{repo.forge}\t{repo.clone_url}")


@told
def repo_remove(name: RepoName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Removes a repository with all its runs and logs."""
    if not yes:
        typer.confirm(f"Remove {name} with all its runs and logs?", abort=True)
    with administrator() as admin:
        admin.remove_repo(name)


@told
def secret_set(
    repo: RepoName,
    name: Annotated[str, typer.Argument(help="The secret's name, as from_secret uses it.")],
    event: Annotated[
        list[Event] | None, typer.Option(help="Events whose runs may have it; by default all but pull requests.")
    ] = None,
) -> None:
    """Keeps a secret; its value is read from standard input."""
    value = from_stdin("Value")
    with administrator() as admin:
        admin.put_secret(repo, name, value, event)


@told
def secret_list(repo: RepoName) -> None:
    """Shows the names of a repository's secrets."""
    with administrator() as admin:
        for secret in admin.secrets(repo):
            typer.echo(f"{secret.name}\t{', '.join(secret.events)}")


@told
def secret_remove(repo: RepoName, name: Annotated[str, typer.Argument(help="The secret's name.")]) -> None:
    """Removes a secret."""
    with administrator() as admin:
        admin.drop_secret(repo, name)


@told
def registry_login(
    host: Annotated[str, typer.Argument(help="The registry, such as registry.example.com or ghcr.io.")],
    username: Annotated[str, typer.Option("--username", "-u", help="The account.")],
    repo: OneRepo = "",
) -> None:
    """Keeps a login to a registry; the password is read from standard input."""
    password = from_stdin("Password")
    with administrator() as admin:
        admin.put_registry(repo, host, username, password)


@told
def registry_list() -> None:
    """Shows the registries with a login: host, account, repository."""
    with administrator() as admin:
        for host, username, repo in admin.registries():
            typer.echo(f"{host}\t{username}\t{repo or 'all repositories'}")


@told
def registry_logout(host: Annotated[str, typer.Argument(help="The registry.")], repo: OneRepo = "") -> None:
    """Forgets a login to a registry."""
    with administrator() as admin:
        admin.drop_registry(repo, host)


@told
def user_add(
    name: Annotated[str, typer.Argument(help="The new user's name.")],
    is_admin: Annotated[bool, typer.Option("--admin", help="May change secrets and settings.")] = False,
) -> None:
    """Adds a user and shows a link that logs them in once."""
    with administrator() as admin:
        typer.echo(admin.add_user(name, is_admin=is_admin))


@told
def user_link(name: Annotated[str, typer.Argument(help="The user's name.")]) -> None:
    """Shows a link that logs the user in once within a day."""
    with administrator() as admin:
        typer.echo(admin.link_user(name))


@told
def user_list() -> None:
    """Shows all users."""
    with administrator() as admin:
        for user in admin.users():
            typer.echo(f"{user.name}\t{'administrator' if user.is_admin else 'user'}")


@told
def token_create(
    user: Annotated[str, typer.Argument(help="Whose token it is; it may do what they may.")],
    name: Annotated[str, typer.Argument(help="What it is for.")],
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends; by default never.")] = None,
) -> None:
    """Makes a token for programs and shows it this one time."""
    with administrator() as admin:
        typer.echo(admin.make_token(user, name, days * 86_400 if days else None))
