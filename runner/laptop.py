"""``headway run``: a folder's pipeline on this machine, from plan to exit status."""

import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipelines.compile import compile_pipeline, dockerfile_plan
from pipelines.plan import JobPlan, Plan
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.state import Outcome, Reason, State, verdict
from pipelines.trigger import Event
from runner.build import find_builder
from runner.cancel import Cancel
from runner.dockerconfig import logins
from runner.engine import Engine
from runner.errors import MachineError, StepError
from runner.execute import open_job, run_job
from runner.job import Assignment, Options
from runner.local import WorkingTree, working_tree
from runner.terminal import Terminal

EXIT_INVALID = 2
EXIT: Mapping[State, int] = {
    State.PASSED: 0, State.SKIPPED: 0, State.FAILED: 1, State.BROKEN: 3, State.CANCELED: 130,
}  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """What the command line asked for. ``secrets`` maps lower-case names to values."""

    push: bool = False
    event: str = "push"
    branch: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def run_folder(folder: Path, options: RunOptions) -> int:
    """Runs the pipeline and returns the exit status: 0 passed, 1 failed, 2 invalid, 3 broken, 130 canceled."""
    console = Console(highlight=False)
    try:
        tree = working_tree(folder)
        plan = plan_of(tree, _event(options.event), options.branch)
    except InvalidPipelineError as error:
        _show(error.problems)
        return EXIT_INVALID
    except StepError as error:
        _say(str(error))
        return EXIT_INVALID
    _show(plan.warnings)
    for left_out in plan.left_out:
        console.print(Text(f"left out: {left_out.what}: {left_out.why}", style="dim"))
    if not plan.jobs:
        _say("nothing to run: every workflow and step was left out by its conditions")
        return EXIT[State.PASSED]
    try:
        return EXIT[_run_jobs(console, tree, plan, options)]
    except MachineError as error:
        _say(f"broken: {error}")
        return EXIT[State.BROKEN]


def plan_of(tree: WorkingTree, event: Event, branch: str) -> Plan:
    """What would run. Raises InvalidPipelineError, or StepError where there is nothing to run."""
    files = tree.pipeline()
    if not files:
        return dockerfile_plan(tree.context(), tree.trigger(event, branch))
    return compile_pipeline(files, tree.trigger(event, branch), tree.context())


def _event(name: str) -> Event:
    try:
        return Event(name)
    except ValueError:
        known = ", ".join(Event)
        raise StepError(Reason.INVALID_PIPELINE, f"there is no event {name!r}; the events are {known}") from None


def _run_jobs(console: Console, tree: WorkingTree, plan: Plan, options: RunOptions) -> State:
    """Runs all jobs, one after another, each after those that it needs."""
    engine = Engine()
    cancel = Cancel()
    previous = signal.signal(signal.SIGINT, lambda _signal, _frame: cancel.set("Ctrl-C"))
    states: dict[str, list[State]] = {}
    try:
        for job in in_order(plan.jobs):
            needed = verdict([state for name in job.needs for state in states.get(name, [])])
            if (needed is State.PASSED and job.on_success) or (needed is not State.PASSED and job.on_failure):
                outcome = _run_job(console, tree, job, options, engine, cancel)
            else:
                outcome = Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, "a workflow that it needs did not pass")
            states.setdefault(job.name, []).append(outcome.state)
    finally:
        signal.signal(signal.SIGINT, previous)
        engine.close()
        cancel.close()
    return verdict([state for group in states.values() for state in group])


def in_order(jobs: Sequence[JobPlan]) -> list[JobPlan]:
    """The jobs, each after those that it needs."""
    waiting, done, ordered = list(jobs), set[str](), list[JobPlan]()
    while waiting:
        left = {job.name for job in waiting}
        ready = [job for job in waiting if not left & set(job.needs)] or waiting
        ordered += ready
        done |= {job.name for job in ready}
        waiting = [job for job in waiting if job not in ready]
    return ordered


def _run_job(
    console: Console, tree: WorkingTree, plan: JobPlan, options: RunOptions, engine: Engine, cancel: Cancel
) -> Outcome:
    started_s = time.monotonic()
    key = f"local-{uuid.uuid4().hex[:12]}"
    folder = Path(tempfile.gettempdir(), f"headway-{key}")
    path, home = os.environ.get("PATH", os.defpath), os.environ.get("HOME", "/")
    known = logins(Path(os.environ.get("DOCKER_CONFIG") or Path(home, ".docker"), "config.json"))
    own = Options(push=options.push)
    assignment = Assignment(plan, key, 1, folder, tree.lay_out, options.secrets, known, own)
    builder = partial(find_builder, path, home)
    with Terminal(console, plan) as terminal, open_job(assignment, engine, builder, terminal, cancel, _say) as job:
        outcome = run_job(job)
    if console.is_terminal:
        terminal.summary()
    for image in terminal.pushed:
        console.print(Text(f"pushed {image}", style="green"))
    took = f"{time.monotonic() - started_s:.1f} s"
    why = f": {outcome.message}" if outcome.message else ""
    console.print(Text(f"{plan.name} {outcome.state} in {took}{why}", style="bold"))
    return outcome


def _show(problems: Sequence[Problem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{problem}\n")


def _say(sentence: str) -> None:
    sys.stderr.write(f"headway: {sentence}\n")
