"""`headway repo add`: adds a repository, or changes it, and connects it."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as dc_replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.helpers import actor, operation_services, read_stdin, say
from web.cli.repos.connecting import forge_client, show
from workers.cli.errors import report_errors
from workers.errors import StartError

if TYPE_CHECKING:
    import httpx2

    from web.operations.repos.repos import NewWebhook
    from web.services import OperationServices
    from workers.db.models import Repo
    from workers.forges.detection import Detected

HookFile = Annotated[Path | None, typer.Option(help="Write a plain repository's ready post-receive hook there.")]
_GUESSED_BRANCH = "main"


@report_errors
def repo_add(
    url: Annotated[str, typer.Argument(help="The address to clone from: https, ssh, user@host:path or a local path.")],
    *,
    name: Annotated[str, typer.Option(help="Its name here; by default from the address.")] = "",
    forge: Annotated[str, typer.Option(help="generic, github, gitea (also Forgejo), gitlab or bitbucket.")] = "",
    web_url: Annotated[str | None, typer.Option(help="Its page on the forge.")] = None,
    branch: Annotated[str, typer.Option(help="Its default branch; by default what the forge says, or main.")] = "",
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Cloning it needs a login, or none.", show_default=False)
    ] = None,
    push_repo: Annotated[str | None, typer.Option(help="Where to push its image if it has only a Dockerfile.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="If the name is taken, change what is named here of that repository.")
    ] = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="With --replace: make another webhook secret, too.")
    ] = False,
    hook_file: HookFile = None,
    token: Annotated[
        bool, typer.Option("--token", help="Connect it with a token of the forge, read from standard input.")
    ] = False,
    api: Annotated[str, typer.Option(help="The address of the forge's API, if it is not the usual one.")] = "",
) -> None:
    """Adds a repository and connects it: with --token by itself, else it shows what to do. It shows the secret once."""
    if new_secret and not replace:
        raise StartError("--new-secret goes with --replace: the secret of a repository that is added is always new.")
    asked = _Asked(
        clone_address(url), name, forge, web_url, branch, private, push_repo, new_secret, hook_file, token, api
    )
    given = read_stdin("Token") if token else ""
    with operation_services() as services, forge_client(services.settings) as client:
        _add_or_change(services, client, asked, given, replace=replace)


@dataclass(frozen=True)
class _Asked:
    """What the command line says. What is empty or None is not said."""

    address: str
    name: str
    forge: str
    web_url: str | None
    branch: str
    private: bool | None
    push_repo: str | None
    new_secret: bool
    hook_file: Path | None
    token: bool
    api: str


def _add_or_change(
    services: "OperationServices", client: "httpx2.Client", asked: _Asked, token: str, *, replace: bool
) -> None:
    # Loaded here, because `headway run` needs none of it and must start fast.
    from pipelines.clone_address import name_from
    from web.operations.repos import repos
    from web.operations.repos.clone_urls import check_clone_url

    check_clone_url(asked.address)
    if asked.token:
        repos.check_forge_token(token, asked.api)
    name = asked.name or name_from(asked.address)
    before = repos.find(services, actor(), name) if replace else None
    found = _forge_of(client, asked, before)
    branch = asked.branch
    if before:
        webhook = _change(services, before.name, asked, found.forge)
        branch = branch or (before.default_branch if before.default_branch != _GUESSED_BRANCH else "")
    else:
        webhook = _add(services, name, asked, found.forge)
    if found.said:
        typer.echo(found.said)
    _connect(services, client, dc_replace(asked, branch=branch, api=asked.api or found.api_url), webhook, token)


def _forge_of(client: "httpx2.Client", asked: _Asked, before: "Repo | None") -> "Detected":
    """The forge that was named or is known by its host; else that of before at the same host; else what it says."""
    from pipelines.clone_address import forge_from
    from web.operations.repos.addresses import is_same_forge
    from workers.forges.detection import Detected, detect

    if before and not asked.forge and is_same_forge(before, asked.address):
        return Detected(before.forge, "", before.forge_api_url)
    forge = asked.forge or forge_from(asked.address)
    if asked.forge or asked.hook_file or forge != "generic" or asked.address.startswith("file:"):
        return Detected(forge, "")
    return detect(client, asked.address)


def _add(services: "OperationServices", name: str, asked: _Asked, forge: str) -> "NewWebhook":
    from web.operations.repos import repos
    from workers.store import NewRepo

    new = NewRepo(
        name=name,
        clone_url=asked.address,
        forge=forge,
        web_url=asked.web_url or "",
        default_branch=asked.branch or _GUESSED_BRANCH,
        private=bool(asked.private),
        push_repo=asked.push_repo or "",
    )
    return repos.add(services, actor(), new)


def _change(services: "OperationServices", name: str, asked: _Asked, forge: str) -> "NewWebhook":
    """Changes the repository and prints what has changed. The webhook's secret is empty where it is not shown."""
    from web.operations.repos import addresses, repos

    changes = addresses.RepoChanges(
        clone_url=asked.address,
        forge=forge,
        web_url=asked.web_url,
        default_branch=asked.branch or None,
        private=asked.private,
        push_repo=asked.push_repo,
        new_secret=asked.new_secret,
    )
    done = addresses.replace(services, actor(), name, changes)
    say(f"Changed    {done.changed or 'nothing'}")
    say_forgotten(name, done.forgotten)
    if done.webhook:
        return done.webhook
    kept = repos.webhook_of(services, actor(), name)
    return kept if asked.hook_file else dc_replace(kept, secret="")


def _connect(
    services: "OperationServices", client: "httpx2.Client", asked: _Asked, webhook: "NewWebhook", token: str
) -> None:  # fmt: skip
    """Connects the repository where there is a token for it; else shows what is to be done by hand."""
    from web.operations.connecting import clone_check, connection

    name = webhook.repo_name
    shared = "" if asked.token or asked.hook_file else connection.shared_token(services, actor(), name)
    if webhook.forge == "generic" or not (asked.token or shared):
        show_webhook(webhook, asked.hook_file)
        closed = asked.private or clone_check.is_closed(client, asked.address)
        _say_what_is_left(webhook, asked.address, closed=closed, token=asked.token)
        return
    typer.echo(f"Repository {name}")
    show(name, connection.connect(services, actor(), client, name, token, asked.api, asked.branch))


def clone_address(text: str) -> str:
    """A clone address as it is stored: of a local path with its whole path."""
    return Path(text).absolute().as_uri() if text.startswith(("/", "./", "../")) else text


def _say_what_is_left(webhook: "NewWebhook", address: str, *, closed: bool, token: bool) -> None:
    name = webhook.repo_name
    if token:
        typer.echo("A plain git server has no API: the token was not used and is not kept.")
    if closed:
        typer.echo(f"{address} cannot be cloned without a login: `headway repo login {name} -u ACCOUNT` sets one.")
    if webhook.forge != "generic":
        typer.echo(
            f"With a token of the forge Headway does all this itself, and reports statuses: `headway repo add "
            f"{address} --replace --token` reads it from standard input. `headway repo check {name}` tests."
        )


def say_forgotten(name: str, forgotten: Sequence[str]) -> None:
    """Says which logins a repository has lost, because they were for another host."""
    if forgotten:
        say(
            f"Its logins were for another host and are forgotten: set them again with headway repo login {name} and "
            f"headway repo token {name}."
        )


def show_webhook(webhook: "NewWebhook", hook_file: Path | None) -> None:
    """Prints where the forge has to send deliveries, and the secret that signs them; or writes the ready hook.

    An empty secret is one that stays as it is.
    """
    say(f"Repository {webhook.repo_name}\nWebhook    {webhook.url}")
    if hook_file:
        _write_hook_file(webhook, hook_file)
        say(f"Hook       {hook_file}")
    elif not webhook.secret:
        say("Secret     as before; --new-secret, or `headway repo hook`, makes another")
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
