"""``headway worker``: it runs a worker, and the administrator's commands below it are the web server's."""

import typer

WORKER = typer.Typer()
