"""The commands of the web server, and those that administrate it."""

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from web.cli import triggers, verbs
from workers.cli.errors import told


def register(app: typer.Typer) -> None:
    """Adds the verbs to the application."""
    for verb in (serve, web, triggers.trigger):
        app.command()(verb)
    for name, text, group_verbs in _groups():
        group = typer.Typer(help=text, no_args_is_help=True)
        for word, verb in group_verbs.items():
            group.command(word)(verb)
        app.add_typer(group, name=name)


def _groups() -> list[tuple[str, str, Mapping[str, Callable[..., None]]]]:
    return [
        (
            "repo",
            "Repositories.",
            {
                "add": verbs.repo_add,
                "list": verbs.repo_list,
                "hook": verbs.repo_hook,
                "login": verbs.repo_login,
                "token": verbs.repo_token,
                "trust": verbs.repo_trust,
                "newest-wins": verbs.repo_newest_wins,
                "remove": verbs.repo_remove,
            },
        ),
        (
            "secret",
            "Secrets of a repository.",
            {"set": verbs.secret_set, "list": verbs.secret_list, "remove": verbs.secret_remove},
        ),
        ("cron", "Runs that start by the clock.", triggers.CRON_VERBS),
        (
            "registry",
            "Logins to image registries.",
            {"login": verbs.registry_login, "list": verbs.registry_list, "logout": verbs.registry_logout},
        ),
        ("user", "People.", {"add": verbs.user_add, "link": verbs.user_link, "list": verbs.user_list}),
        ("token", "Tokens for programs.", {"create": verbs.token_create}),
    ]


@told
def serve() -> None:
    """Runs everything on this machine: pages, a worker, the scheduler and a private Redis."""
    from web.server.serve import serve as run
    from workers.startup import read_settings

    run(read_settings(), typer.echo)


@told
def web(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
) -> None:
    """Runs the pages and the API."""
    from web.server.serve import serve_web
    from workers.startup import read_settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    serve_web(read_settings(**given), typer.echo)
