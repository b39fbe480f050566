"""What a shell completes on the command line of ``headway run``: names of workflows, steps, events and refs.

For these it never asks the network, and a pipeline with errors has no names. Everything is loaded when it is asked for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runner.cli.completed_names import fitting

if TYPE_CHECKING:
    from pipelines.plan import Plan


def workflows(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the workflows that would run."""
    plan = _plan(context)
    return fitting((job.name for job in plan.jobs) if plan else (), incomplete)


def steps(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the steps that would run."""
    plan = _plan(context)
    return fitting((step.name for job in plan.jobs for step in job.steps) if plan else (), incomplete)


def cells(context: typer.Context, incomplete: str) -> list[str]:
    """NAME=VALUE of the matrices."""
    plan = _plan(context)
    pairs = (f"{name}={value}" for job in plan.jobs for name, value in job.cell.items()) if plan else ()
    return fitting(pairs, incomplete)


def events(incomplete: str) -> list[str]:
    """The events."""
    from pipelines.trigger import Event

    return fitting(Event, incomplete)


def branches(context: typer.Context, incomplete: str) -> list[str]:
    """The branches of the repository in the folder."""
    return fitting(_refs(context, "refs/heads"), incomplete)


def tags(context: typer.Context, incomplete: str) -> list[str]:
    """The tags of the repository in the folder, the newest versions first."""
    return fitting(_refs(context, "refs/tags"), incomplete)


def shell_words(context: typer.Context, incomplete: str) -> list[str]:
    """The words of ``headway shell`` for a run on a server, which the server's commands know."""
    from importlib.metadata import entry_points

    found: list[str] = []
    for entry in entry_points(group="headway.remote_shells", name="complete"):
        found.extend(entry.load()(context, incomplete))
    return found


def _folder(context: typer.Context) -> Path:
    return Path(context.params.get("folder") or ".")


def _plan(context: typer.Context) -> "Plan | None":
    """The whole plan for the options so far; None where there is none, or a fragment is in another repository."""
    from pipelines.problem import InvalidPipelineError
    from runner.cli.run.choice.plan import plan_of
    from runner.cli.run.options import RunOptions
    from runner.errors import StepError
    from runner.source.working_tree import working_tree

    event, branch, tag = (str(context.params.get(name) or "") for name in ("event", "branch", "tag"))
    options = RunOptions(event=event, branch=branch, tag=tag, inputs=tuple(context.params.get("inputs") or ()))
    try:
        tree = working_tree(_folder(context))
        if any(b"include" in file.text and b"repo" in file.text for file in tree.pipeline()):
            return None
        return plan_of(tree, options)
    except (InvalidPipelineError, StepError, OSError):
        return None


def _refs(context: typer.Context, kind: str) -> Iterator[str]:
    from runner.errors import StepError
    from runner.source.working_tree import working_tree

    try:
        tree = working_tree(_folder(context))
    except StepError:
        return
    command = ("for-each-ref", "--format=%(refname)", "--sort=-version:refname", kind)
    names = tree.git(*command, default="") if tree.in_repository else ""
    yield from (name.removeprefix(f"{kind}/") for name in names.splitlines())
