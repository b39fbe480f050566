"""``headway plan``: shows what would run for a trigger, in which order and images, and why the rest would not run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import FULL_TRUST, Context, RepoInfo, forge_url_of
from pipelines.importers.running import compile_own_files
from pipelines.plan import Plan
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, PullRequest, Trigger
from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.cli.fragments import fragments_of
from runner.cli.like import trigger_of_run
from runner.cli.plan_formats import FORMATS, render
from runner.cli.plan_reuse import reuse_of
from runner.cli.plan_view import view_of
from runner.errors import StepError
from runner.source.working_tree import WorkingTree, working_tree

FILE_BYTES_MAX = 10_000_000


@dataclass(frozen=True)
class PlanOptions:
    """The options of the command; empty if not given. ``files`` is a list separated by commas, ``like`` an address."""

    folder: Path = Path()
    event: str = ""
    branch: str = ""
    tag: str = ""
    cron: str = ""
    pull_request: bool = False
    files: str | None = None
    message: str | None = None
    inputs: tuple[str, ...] = ()
    trigger: Path | None = None
    like: str = ""
    format: str = "text"


class UsageError(Exception):
    """The command line is wrong. The text says why and what to do."""


def show_plan(options: PlanOptions, out: TextIO, err: TextIO) -> int:
    """Writes the plan and returns the exit status: 1 if the pipeline has errors, 2 for a wrong command line."""
    try:
        _check_format(options.format)
        tree = working_tree(options.folder)
        trigger = trigger_of(options, tree)
        plan = _plan(tree, trigger)
        out.write(render(options.format, view_of(plan, trigger, reuse_of(plan, tree, os.environ))))
    except InvalidPipelineError as error:
        err.write("".join(f"{visible_line(str(problem))}\n" for problem in error.problems))
        return exit_status.FAILED
    except (UsageError, StepError) as error:
        err.write(f"headway: {error}\n")
        return exit_status.USAGE
    return exit_status.DONE


def _check_format(name: str) -> None:
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; the formats are {', '.join(FORMATS)}")


def _plan(tree: WorkingTree, trigger: Trigger) -> Plan:
    files = tree.pipeline()
    known = tree.context().repo
    # Shows what a server would do for a trusted repository, not what `headway run` would do here.
    repo = RepoInfo(
        known.name,
        known.clone_url,
        default_branch=known.default_branch,
        forge_url=forge_url_of(known.clone_url, known.name),
        trust=FULL_TRUST,
    )
    context = Context(repo, run_number=1)
    if not files:
        return dockerfile_plan(context, trigger)
    return compile_own_files(files, trigger, context, fragments_of(files, tree.folder, tree.remote))


def trigger_of(options: PlanOptions, tree: WorkingTree) -> Trigger:
    """The trigger: from the options, and for everything else from the working tree. Raises UsageError, StepError."""
    if options.trigger is not None:
        return _read_trigger(options.trigger)
    if options.like:
        return trigger_of_run(options.like)
    event = _event(options)
    known = tree.trigger(event, options.branch)
    changed: dict[str, object] = {"branch": known.branch, "cron": options.cron}
    if event is Event.TAG:
        tag = options.tag or "v1.0.0"
        changed |= {"tag": tag, "ref": f"refs/tags/{tag}", "branch": ""}
    elif event in PULL_REQUEST_EVENTS:
        target = options.branch or "main"
        source = known.branch if known.branch != target else "topic"
        pull = PullRequest(number=1, source_branch=source, target_branch=target)
        changed |= {"pull_request": pull, "ref": "refs/pull/1/head", "branch": target}
    if options.files is not None:
        names = tuple(name.strip() for name in options.files.split(",") if name.strip())
        changed |= {"changed_files": names, "too_many_changed": False}
    if options.message is not None:
        changed["message"] = options.message
    given = {"inputs": dict(_input(text) for text in options.inputs), "inputs_by_admin": True}
    return known.model_copy(update={**changed, **given})


def _event(options: PlanOptions) -> Event:
    if options.event:
        try:
            return Event(options.event)
        except ValueError:
            known = ", ".join(Event)
            raise UsageError(f"there is no event {options.event!r}; the events are {known}") from None
    if options.pull_request:
        return Event.PULL_REQUEST
    if options.cron:
        return Event.CRON
    if options.inputs:
        return Event.MANUAL
    return Event.TAG if options.tag else Event.PUSH


def _input(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"the input {text!r} is not NAME=VALUE")
    return name, value


def _read_trigger(path: Path) -> Trigger:
    try:
        with path.open("rb") as file:
            return Trigger.model_validate_json(file.read(FILE_BYTES_MAX))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise UsageError(f"{path} is not a trigger: {where + ': ' if where else ''}{found['msg']}") from None
