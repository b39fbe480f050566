"""``headway run``: a folder's pipeline on this machine, from plan to exit status."""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.plan import JobPlan, Plan
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.state import Outcome, Reason, State, verdict
from pipelines.trigger import Event
from runner.builds.buildkit import Builder, find_builder
from runner.cancellation import Cancel
from runner.cli.run.bootstrap import Begun
from runner.cli.run.cleanup_process import past_complaints
from runner.cli.run.options import RunOptions
from runner.cli.run.terminal import Terminal
from runner.errors import MachineError, StepError, as_step_error
from runner.execution.job import Assignment, Options
from runner.execution.scheduler import open_job, run_job
from runner.images.docker_config import logins
from runner.network.company import CompanyNetwork, laptop_network
from runner.source.working_tree import WorkingTree, working_tree
from runner.threads import in_background

EXIT_INVALID = 2
EXIT: Mapping[State, int] = {
    State.PASSED: 0, State.SKIPPED: 0, State.FAILED: 1, State.BROKEN: 3, State.CANCELED: 130,
}  # fmt: skip


def run_folder(options: RunOptions, begun: Begun) -> int:
    """Runs the pipeline and returns the exit status: 0 passed, 1 failed, 2 invalid, 3 broken, 130 canceled."""
    gc.freeze()
    gc.enable()
    console = Console(highlight=False)
    if complaint := past_complaints():
        _say(f"an earlier run could not clean up: {complaint}")
    try:
        secrets = secrets_of(options.secrets, os.environ)
        tree = working_tree(options.folder)
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
        return EXIT[_run_jobs(Run(console, tree, options.push, secrets, begun, _company(begun)), plan)]
    except (MachineError, OSError) as error:
        _say(f"broken: {as_step_error(error)}")
        return EXIT[State.BROKEN]


def plan_of(tree: WorkingTree, event: Event, branch: str) -> Plan:
    """What would run. Raises InvalidPipelineError, or StepError where there is nothing to run."""
    files = tree.pipeline()
    if not files:
        return dockerfile_plan(tree.context())
    from pipelines.compiler.pipeline import compile_pipeline

    return compile_pipeline(files, tree.trigger(event, branch), tree.context())


def _event(name: str) -> Event:
    try:
        return Event(name)
    except ValueError:
        known = ", ".join(Event)
        raise StepError(Reason.INVALID_PIPELINE, f"there is no event {name!r}; the events are {known}") from None


def secrets_of(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets by their names in lower case. Raises StepError for one without a value."""
    found = {name.lower(): environment.get(name, environment.get(name.upper())) for name in names}
    for name, value in found.items():
        if value is None:
            hint = f"set the environment variable {name.upper()}"
            raise StepError(Reason.SECRET_MISSING, f"the secret {name!r} has no value: {hint}")
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Run:
    """What all jobs of this run share."""

    console: Console
    tree: WorkingTree
    push: bool
    secrets: Mapping[str, str] = field(repr=False)
    begun: Begun
    company: CompanyNetwork


def _docker_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker"), "config.json")


def _company(begun: Begun) -> CompanyNetwork:
    """Raises MachineError where a variable is not right."""
    try:
        return laptop_network(os.environ, _docker_config(), begun.docker_host)
    except ValueError as error:
        raise MachineError(Reason.INTERNAL, str(error)) from None


def _run_jobs(run: Run, plan: Plan) -> State:
    """Runs all jobs, one after another, each after those that it needs."""
    run.begun.engine()
    cancel = Cancel()
    previous = signal.signal(signal.SIGINT, lambda _signal, _frame: _interrupted(run.console, cancel))
    states: dict[str, list[State]] = {}
    try:
        for job in in_order(plan.jobs):
            needed = verdict([state for name in job.needs for state in states.get(name, [])])
            if (needed is State.PASSED and job.on_success) or (needed is not State.PASSED and job.on_failure):
                outcome = _run_job(run, job, cancel)
            else:
                outcome = Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, "a workflow that it needs did not pass")
            states.setdefault(job.name, []).append(outcome.state)
    finally:
        signal.signal(signal.SIGINT, previous)
        cancel.close()
    return verdict([state for group in states.values() for state in group])


def _interrupted(console: Console, cancel: Cancel) -> None:
    """Ctrl-C asks the steps to end. The second one waits for nobody: the guard removes them."""
    if cancel:
        console.show_cursor()
        os._exit(EXIT[State.CANCELED])
    cancel.set("Ctrl-C")


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


def _run_job(run: Run, plan: JobPlan, cancel: Cancel) -> Outcome:
    console, started_s = run.console, time.monotonic()
    left, sandboxes = run.begun.next_job()
    path, home = os.environ.get("PATH", os.defpath), os.environ.get("HOME", "/")
    assignment = Assignment(
        plan=plan,
        key=left.key,
        attempt=1,
        folder=left.folder,
        lay_out=run.tree.lay_out,
        secrets=run.secrets,
        logins=logins(_docker_config(), _say),
        options=Options(push=run.push),
        sandboxes=sandboxes,
        hand_over=run.begun.hand_over,
        company=run.company,
    )
    builder: Callable[[], Builder] = partial(find_builder, path, home)
    if any(step.kind == "build" for step in plan.steps):
        builder = in_background(builder).result
    engine = run.begun.engine()
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
