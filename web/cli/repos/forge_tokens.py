"""`headway repo token`: the tokens with which forges are asked."""

from typing import Annotated

import typer

from web.cli.helpers import actor, operation_services, read_stdin, say
from workers.cli.errors import report_errors
from workers.errors import StartError


@report_errors
def repo_token(
    name: Annotated[str, typer.Argument(help="The repository, or 'team/*' for an owner's, '*' for all.")],
    *,
    host: Annotated[str, typer.Option(help="The forge that an owner's token is for, such as git.example.com.")] = "",
    api: Annotated[str, typer.Option(help="The address of the forge's API, if it is not the usual one.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Remove the token: report no more statuses.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the owner's tokens, or the one that is used.")] = False,
) -> None:
    """Sets the token for a forge's API, read from standard input; an owner's also makes webhooks and clones."""
    from web.operations.repos import forge_tokens

    if forget and show:
        raise StartError("--forget and --list do not go together: choose one.")
    token = "" if forget or show else read_stdin("Token")
    with operation_services() as services:
        if show:
            for info in forge_tokens.list_tokens(services, actor(), name):
                say("\t".join(filter(None, (info.host, info.place, info.api_url))))
        elif forget:
            forge_tokens.remove(services, actor(), name, host)
        else:
            forge_tokens.put(services, actor(), name, token, host, api)
