"""``headway run``: runs the pipeline of a folder on this machine, from the plan to the exit status."""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import forge_url_of
from pipelines.needs import EndedJob, failed_needs, skip_after
from pipelines.plan import Checkout, JobPlan, Plan
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.state import Outcome, Reason, State, verdict
from pipelines.trigger import Event
from pipelines.visible import visible_line
from runner.builds.buildkit import Builder, find_builder
from runner.cancellation import Cancel
from runner.cli import exit_status
from runner.cli.cache_folder import cache_folder
from runner.cli.fragments import fragments_of
from runner.cli.run.artifacts import LocalArtifacts
from runner.cli.run.bootstrap import RunBootstrap
from runner.cli.run.caches import local_caches
from runner.cli.run.cleanup_process import past_cleanup_failures
from runner.cli.run.json_lines import JsonLines
from runner.cli.run.options import RunOptions
from runner.cli.run.report_lines import report_lines
from runner.cli.run.reuse import LocalReuse, reuse_for, store_results
from runner.cli.run.secrets import secrets_of
from runner.cli.run.selection import selected
from runner.cli.run.terminal import Terminal
from runner.errors import MachineError, StepError, as_step_error
from runner.events import Emit
from runner.execution.job.job import Assignment
from runner.execution.job.options import Options
from runner.execution.job_lifecycle import open_job, run_job
from runner.images.docker_config import logins
from runner.network.egress import EgressSettings, local_egress
from runner.source.working_tree import WorkingTree, working_tree
from runner.threads import in_background


def run_folder(options: RunOptions, bootstrap: RunBootstrap) -> int:
    """Runs the pipeline and returns the exit status, see ``exit_status``."""
    gc.freeze()
    gc.enable()
    lines = JsonLines(sys.stdout) if options.json else None
    console = Console(highlight=False, quiet=options.json, force_terminal=False if options.json else None)
    if failures := past_cleanup_failures():
        _print_error(f"an earlier run could not clean up: {failures}")
    try:
        secrets = secrets_of(options.secrets, options.secrets_file, os.environ, _print_error)
        tree = working_tree(options.folder)
        plan = plan_of(tree, _event(options), options.branch, options.inputs)
        plan = selected(plan, options.workflows, options.cells)
    except InvalidPipelineError as error:
        _print_problems(error.problems)
        return exit_status.USAGE
    except StepError as error:
        _print_error(str(error))
        return exit_status.USAGE
    _print_problems(plan.warnings)
    _show_notes(console, lines, tree.notes(options.branch), plan)
    if not plan.jobs:
        return _nothing_to_run(console, lines)
    try:
        egress = _egress_settings(bootstrap)
        with LocalArtifacts(cache_folder(os.environ, "artifacts")) as artifacts:
            reuse = reuse_for(plan, tree, artifacts, takes=not options.no_reuse)
            run = Run(console, tree, options.push, secrets, bootstrap, egress, artifacts, reuse, lines)
            state = _run_jobs(run, plan)
            store_results(reuse, state)
            _print_lines(console, artifacts.listed())
            return exit_status.OF_STATE[state]
    except (MachineError, OSError) as error:
        return _broken(error, lines)


def _nothing_to_run(console: Console, lines: JsonLines | None) -> int:
    _say_nothing_ran(console)
    if lines:
        lines.run_finished(State.SKIPPED)
    return exit_status.DONE


def _broken(error: MachineError | OSError, lines: JsonLines | None) -> int:
    _print_error(f"broken: {as_step_error(error)}")
    if lines:
        lines.run_finished(State.BROKEN)
    return exit_status.BROKEN


def _show_notes(console: Console, lines: JsonLines | None, notes: Iterable[str], plan: Plan) -> None:
    for note in notes:
        console.print(Text(visible_line(f"note: {note}"), style="dim"))
        if lines:
            lines.write("note", text=note)
    for left_out in plan.left_out:
        console.print(Text(f"left out: {left_out.what}: {left_out.why}", style="dim"))
        if lines:
            lines.write("left_out", what=left_out.what, why=left_out.why)


def _print_lines(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Text(visible_line(line)), soft_wrap=True)


def _say_nothing_ran(console: Console) -> None:
    message = "nothing ran: the conditions (`when`) left out every workflow and step"
    console.print(Text(message, style="bold"))


def plan_of(tree: WorkingTree, event: Event, branch: str, inputs: Sequence[str] = ()) -> Plan:
    """The plan for this event. Raises InvalidPipelineError, or StepError if there is no pipeline."""
    files = tree.pipeline()
    context = tree.context()
    if not files:
        if inputs:
            raise StepError(Reason.INVALID_PIPELINE, "a Dockerfile alone takes no inputs; leave out --input")
        return dockerfile_plan(context)
    from pipelines.importers.running import compile_own_files

    given = {"inputs": inputs_of(inputs), "inputs_by_admin": True}
    repo = context.repo
    context = context._replace(repo=repo._replace(forge_url=forge_url_of(repo.clone_url, repo.name)))
    trigger = tree.trigger(event, branch).model_copy(update=given)
    return compile_own_files(files, trigger, context, fragments_of(files, tree.folder, tree.remote))


def inputs_of(texts: Sequence[str]) -> dict[str, str]:
    """Inputs from NAME=VALUE. Raises StepError."""
    pairs = [text.partition("=") for text in texts]
    if wrong := next((name for name, equals, _ in pairs if not equals or not name), None):
        raise StepError(Reason.INVALID_PIPELINE, f"the input {wrong!r} is not NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _event(options: RunOptions) -> Event:
    name = options.event or ("manual" if options.inputs else "push")
    try:
        return Event(name)
    except ValueError:
        known = ", ".join(Event)
        raise StepError(Reason.INVALID_PIPELINE, f"there is no event {name!r}; the events are {known}") from None


@dataclass(frozen=True)
class Run:
    """What all jobs of one ``headway run`` share."""

    console: Console
    tree: WorkingTree
    push: bool
    secrets: Mapping[str, str] = field(repr=False)
    bootstrap: RunBootstrap
    egress: EgressSettings
    artifacts: LocalArtifacts
    reuse: LocalReuse | None = None
    lines: JsonLines | None = None
    steps_ran: set[tuple[int, int]] = field(default_factory=set)


def _docker_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker"), "config.json")


def _egress_settings(bootstrap: RunBootstrap) -> EgressSettings:
    """Raises MachineError if an environment variable is wrong."""
    try:
        return local_egress(os.environ, _docker_config(), bootstrap.docker_host)
    except ValueError as error:
        raise MachineError(Reason.INTERNAL, str(error)) from None


def _run_jobs(run: Run, plan: Plan) -> State:
    """Runs all jobs, one after another, each after the jobs that it needs."""
    run.bootstrap.engine()
    cancel = Cancel()
    previous = signal.signal(signal.SIGINT, lambda _signal, _frame: _interrupted(run.console, cancel))
    ended: list[EndedJob] = []
    try:
        for job in in_order(plan.jobs):
            failed = failed_needs(each for each in ended if each.name in job.needs)
            outcome = skip_after(failed, on_success=job.on_success, on_failure=job.on_failure)
            if outcome:
                run.console.print(Text(f"{job.title} {outcome.state}: {outcome.message}", style="bold"))
            else:
                outcome = _run_job(run, job, cancel, failed)
            ended.append(EndedJob(job.name, outcome.state, outcome.reason))
            if run.lines:
                run.lines.finished(job, outcome)
    finally:
        signal.signal(signal.SIGINT, previous)
        cancel.close()
    if not run.steps_ran and all(each.state in {State.PASSED, State.SKIPPED} for each in ended):
        _say_nothing_ran(run.console)
    state = verdict([each.state for each in ended])
    if run.lines:
        run.lines.run_finished(state)
    return state


def _interrupted(console: Console, cancel: Cancel) -> None:
    """The first Ctrl-C cancels the steps. The second exits at once: the cleanup process removes the containers."""
    if cancel:
        console.show_cursor()
        os._exit(exit_status.INTERRUPTED)
    cancel.set("Ctrl-C")


def in_order(jobs: Sequence[JobPlan]) -> list[JobPlan]:
    """The jobs in an order in which each comes after the jobs that it needs."""
    waiting, done, ordered = list(jobs), set[str](), list[JobPlan]()
    while waiting:
        left = {job.name for job in waiting}
        ready = [job for job in waiting if not left & set(job.needs)] or waiting
        ordered += ready
        done |= {job.name for job in ready}
        waiting = [job for job in waiting if job not in ready]
    return ordered


def _run_job(run: Run, plan: JobPlan, cancel: Cancel, failed: tuple[str, ...]) -> Outcome:
    console, started_s = run.console, time.monotonic()
    job_leftovers, network = run.bootstrap.next_job()
    path, home = os.environ.get("PATH", os.defpath), os.environ.get("HOME", "/")
    builds = any(step.kind == "build" for step in plan.steps)
    assignment = Assignment(
        plan=plan,
        key=job_leftovers.key,
        attempt=1,
        folder=job_leftovers.folder,
        check_out=partial(run.tree.check_out, how=plan.checkout or Checkout(), for_builds=builds),
        secrets=run.secrets,
        logins=logins(_docker_config(), _print_error),
        options=Options(push=run.push),
        network=network,
        clean_up=run.bootstrap.clean_up,
        egress=run.egress,
        failed_needs=failed,
        local=True,
        artifacts=run.artifacts.of(plan),
        caches=local_caches(os.environ, run.tree.folder),
        reuse=run.reuse.of(plan) if run.reuse else None,
    )
    builder: Callable[[], Builder] = partial(find_builder, path, home)
    if builds:
        builder = in_background(builder).result
    engine = run.bootstrap.engine()
    emit_to = partial(run.reuse.following, plan=plan) if run.reuse else _unchanged
    show_to = partial(run.lines.following, job=plan) if run.lines else _unchanged
    with (
        Terminal(console, plan) as terminal,
        open_job(assignment, engine, builder, emit_to(show_to(terminal)), cancel, _print_error) as job,
    ):
        outcome = run_job(job)
    if console.is_terminal:
        terminal.summary()
    run.steps_ran.update((plan.number, number) for number in terminal.started)
    for line, style in report_lines(plan, terminal.reports, terminal.problem_lines):
        console.print(Text(visible_line(line), style=style), soft_wrap=True)
    for image in terminal.pushed:
        console.print(Text(f"pushed {image}", style="green"))
    took = f"{time.monotonic() - started_s:.1f} s"
    why = f": {outcome.message}" if outcome.message else ""
    console.print(Text(visible_line(f"{plan.title} {outcome.state} in {took}{why}"), style="bold"))
    return outcome


def _unchanged(emit: Emit) -> Emit:
    return emit


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{visible_line(str(problem))}\n")


def _print_error(sentence: str) -> None:
    sys.stderr.write(f"headway: {sentence}\n")
