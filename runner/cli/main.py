"""The ``headway`` command line. These commands need no server; entry points (``headway.commands``) add others."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runner.cli import completion
from runner.cli.run.options import JOBS_MAX

app = typer.Typer(
    name="headway", help="A self-hosted CI server, and the same pipelines on your laptop.", no_args_is_help=True,
    pretty_exceptions_enable=False,
)  # fmt: skip


def _show_version(asked: bool) -> None:
    if asked:
        from runner.cli.version import show_version

        raise typer.Exit(show_version(sys.stdout))


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Shows the versions of Headway and the engine."
        ),
    ] = False,
) -> None:
    """Options of all commands."""


_OWN_COMMANDS = frozenset({"run", "lint", "plan", "schema", "init", "import", "shell", "language-server"})


def main() -> None:
    """Runs the command line. The server's commands are loaded only if the command is none of ours."""
    from importlib.metadata import entry_points

    if not _OWN_COMMANDS & set(_words()[1:2]):
        for entry in sorted(entry_points(group="headway.commands"), key=lambda entry: entry.name):
            entry.load()(app)
    app()


def _words() -> Sequence[str]:
    """The words of the command line; while a shell completes one, of that."""
    if completed := os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS"):
        return completed.split() if os.environ.get("_HEADWAY_COMPLETE") else sys.argv
    return sys.argv


@app.command()
def run(  # noqa: PLR0917 - every option is a parameter
    folder: Annotated[Path, typer.Argument(help="The folder with the pipeline file or Dockerfile.")] = Path(),
    push: Annotated[
        bool, typer.Option("--push", help="Push images. Without it, the log only shows what would be pushed.")
    ] = False,
    event: Annotated[
        str,
        typer.Option(autocompletion=completion.events, help="The event, as `when.event` names it; by default push."),
    ] = "",
    branch: Annotated[
        str, typer.Option(autocompletion=completion.branches, help="The branch to run for; by default the current one.")
    ] = "",
    secret: Annotated[
        list[str] | None,
        typer.Option(help="The name of a secret; its value comes from the environment variable of that name."),
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=VALUE of an input; the event is manual.")
    ] = None,
    secrets_file: Annotated[
        Path | None, typer.Option(help="A file with secrets, NAME=VALUE on each line; --secret counts over it.")
    ] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option(autocompletion=completion.workflows, help="Run only this workflow; can be given several times."),
    ] = None,
    matrix: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=completion.cells, help="NAME=VALUE: run only the combinations of the matrix that have it."
        ),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=completion.steps, help="Run only this step and what it needs; can be given several times."
        ),
    ] = None,
    first_step: Annotated[
        str,
        typer.Option(
            "--from",
            autocompletion=completion.steps,
            help="Run this step and those after it; the files of earlier ones must be there.",
        ),
    ] = "",
    tag: Annotated[
        str, typer.Option(autocompletion=completion.tags, help="Run for this git tag; the event is tag.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="How many workflows run at once.")] = 1,
    watch: Annotated[bool, typer.Option("--watch", help="Run again when a file changes, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object on each line, for programs.")] = False,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Run every step, also where an earlier result could be taken.")
    ] = False,
    like: Annotated[
        str, typer.Option(help="The address of a run's page: run for what started it, but with this folder's files.")
    ] = "",
    keep_on_failure: Annotated[
        bool, typer.Option("--keep-on-failure", help="Keep the first job that fails, for `headway shell`.")
    ] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="Run it on the server, without secrets, and show the log here.")
    ] = False,
    server: Annotated[str, typer.Option(help="With --remote: the server; by default that of `headway login`.")] = "",
    repo: Annotated[
        str, typer.Option(help="With --remote: what the server calls the repository; by default as its remote.")
    ] = "",
) -> None:
    """Runs the pipeline of a folder on this machine, uncommitted files included. Needs only Docker."""
    from runner.cli.run.launch import launch
    from runner.cli.run.options import RunOptions

    lists = (secret, inputs, workflow, matrix, step)
    names, given, workflows, cells, steps = (tuple(each or ()) for each in lists)
    options = RunOptions(
        folder, push, event, branch, names, given, no_reuse, secrets_file, workflows, cells, json, tag, steps,
        first_step, jobs, watch, like, keep_on_failure=keep_on_failure,
    )  # fmt: skip
    if remote:
        from runner.cli.run.remote import run_remotely

        raise typer.Exit(run_remotely(options, server, repo))
    if server or repo:
        raise typer.BadParameter("--server and --repo need --remote.")
    raise typer.Exit(launch(options))


@app.command()
def lint(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders and files; by default this folder.")] = None,
    output: Annotated[str, typer.Option("--format", help="text, json, github or sarif.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
) -> None:
    """Shows every problem of pipeline files with file, line and a hint. Exit status: 0 clean, 1 errors, 2 usage."""
    from runner.cli.lint import LintOptions, lint

    raise typer.Exit(lint(LintOptions(tuple(paths or ()), output, strict), sys.stdout, sys.stderr))


@app.command()
def plan(  # noqa: PLR0917 - every flag is a parameter
    folder: Annotated[Path, typer.Argument(help="The folder with the pipeline file or Dockerfile.")] = Path(),
    event: Annotated[str, typer.Option(help="The event, as `when.event` names it; by default push.")] = "",
    branch: Annotated[str, typer.Option(help="The branch; by default the current one.")] = "",
    tag: Annotated[str, typer.Option(help="A git tag: the event is tag.")] = "",
    cron: Annotated[str, typer.Option(help="The name of a cron job: the event is cron.")] = "",
    pull_request: Annotated[bool, typer.Option("--pull-request", help="A pull request into --branch.")] = False,
    files: Annotated[
        str | None, typer.Option(help="The changed files, separated by commas; by default from git.")
    ] = None,
    message: Annotated[str | None, typer.Option(help="The commit's message.")] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", help="NAME=VALUE of a manual run.")] = None,
    trigger: Annotated[Path | None, typer.Option(help="A file with the whole trigger, as JSON.")] = None,
    like: Annotated[str, typer.Option(help="The address of a run's page, for what started that run.")] = "",
    output: Annotated[str, typer.Option("--format", help="text, json, dot or mermaid.")] = "text",
) -> None:
    """Shows what would run for a trigger, in which order, and which condition leaves out the rest."""
    from runner.cli.plan import PlanOptions, show_plan

    options = PlanOptions(
        folder, event, branch, tag, cron, pull_request, files, message, tuple(inputs or ()), trigger, like, output
    )
    raise typer.Exit(show_plan(options, sys.stdout, sys.stderr))


@app.command("import")
def import_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of Drone, GitLab CI or GitHub Actions; by default those of this folder."),
    ] = None,
    system: Annotated[str, typer.Option("--from", help="drone, gitlab or github; by default as the file looks.")] = "",
    output: Annotated[Path, typer.Option(help="The folder that the new files are written to.")] = Path(".headway"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the new files, and write nothing.")] = False,
) -> None:
    """Writes pipeline files of other CI systems as Headway's. Exit status: 0, 1 if something is missing, 2 usage."""
    from runner.cli.import_ import ImportOptions, import_paths

    options = ImportOptions(tuple(paths or ()), system, output, force, dry_run)
    raise typer.Exit(import_paths(options, sys.stdout, sys.stderr))


@app.command()
def schema() -> None:
    """Prints the JSON Schema of pipeline files, for completion and help in an editor."""
    from pipelines.model.json_schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command("language-server")
def language_server(
    _stdio: Annotated[bool, typer.Option("--stdio", help="Without effect: it always speaks on these pipes.")] = True,
) -> None:
    """Speaks to an editor by the language server protocol: problems, completion and help of pipeline files."""
    from runner.cli.language_server.serving import serve

    raise typer.Exit(serve(sys.stdin.buffer, sys.stdout.buffer, sys.stderr))


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The folder of the repository.")] = Path()) -> None:
    """Writes a first pipeline file from what the repository has; with files of another CI system, imports them."""
    from runner.cli.init.init import init_folder

    raise typer.Exit(init_folder(folder, sys.stdout, sys.stderr))


@app.command()
def shell(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER | [REPO] RUN STEP",
            help="RUN is a number, or the address of the run's page.",
            autocompletion=completion.shell_words,
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is kept, and open no shell.")] = False,
    server: Annotated[
        str, typer.Option(help="The server of RUN; by default HEADWAY_SERVER, or that of `headway login`.")
    ] = "",
) -> None:
    """Opens a shell in a running step of a server, or in what `headway run --keep-on-failure` has kept here.

    With RUN and STEP: in that step of a server, by its name or number. REPO is by default that of the folder's remote.

    Without them: in the step that failed here, in FOLDER or this folder.
    """
    from runner.cli.shell.choice import open_chosen_shell

    raise typer.Exit(open_chosen_shell(words or (), server, remove=remove))
