"""One job of ``headway run``: what it is given, what it shows, and how it ended."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from pipelines.plan import Checkout, JobPlan
from pipelines.state import Outcome, State
from pipelines.visible import visible_line
from runner.cancellation import Cancel
from runner.cli.run.artifacts import LocalArtifacts
from runner.cli.run.bootstrap import RunBootstrap
from runner.cli.run.caches import local_caches
from runner.cli.run.json_lines import JsonLines
from runner.cli.run.report_lines import report_lines
from runner.cli.run.reuse import LocalReuse
from runner.cli.run.terminal import Terminal
from runner.events import Emit
from runner.execution.job.job import Assignment
from runner.execution.job.options import Options
from runner.execution.job.set_aside import SetAside
from runner.execution.job_lifecycle import open_job, run_job
from runner.images.docker_config import logins
from runner.network.egress import EgressSettings
from runner.source.working_tree import WorkingTree
from runner.threads import in_background

if TYPE_CHECKING:
    from runner.builds.buildkit import Builder
    from runner.cli.shell.keeping import FailureKeeping


@dataclass(frozen=True)
class Run:
    """What all jobs of one ``headway run`` share.

    ``terminals`` show the jobs, by their numbers.
    """

    console: Console
    tree: WorkingTree
    push: bool
    secrets: Mapping[str, str] = field(repr=False)
    bootstrap: RunBootstrap
    egress: EgressSettings
    artifacts: LocalArtifacts
    reuse: LocalReuse | None = None
    lines: JsonLines | None = None
    keeping: "FailureKeeping | None" = None
    terminals: dict[int, Terminal] = field(default_factory=dict)


def docker_config() -> Path:
    """The user's configuration of the Docker client."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/"), ".docker"), "config.json")


def run_plan(run: Run, plan: JobPlan, cancel: Cancel, failed: tuple[str, ...], *, live: bool) -> Outcome:
    """Runs one job and shows what came of it. ``failed`` are the workflows that it needs and that did not pass.

    With ``live``, the steps have no lines of their own yet.
    """
    console, started_s, terminal = run.console, time.monotonic(), run.terminals[plan.number]
    builds = any(step.kind == "build" for step in plan.steps)
    assignment = _assignment(run, plan, failed, builds=builds)
    set_aside = assignment.set_aside
    path, home = os.environ.get("PATH", os.defpath), os.environ.get("HOME", "/")
    builder: Callable[[], Builder] = partial(_builder, path, home)
    if builds:
        builder = in_background(builder).result
    engine = run.bootstrap.engine()
    emit_to = partial(run.reuse.following, plan=plan) if run.reuse else _unchanged
    show_to = partial(run.lines.following, job=plan) if run.lines else _unchanged
    terminal.rows.job.start()
    with open_job(assignment, engine, builder, emit_to(show_to(terminal)), cancel, print_error) as job:
        outcome = run_job(job)
        if set_aside is not None:
            set_aside.choose(job.status.failed_steps)
    terminal.rows.job.end(outcome.state, visible_line(outcome.message))
    if live:
        terminal.summary()
    for line, style in report_lines(plan, terminal.reports, terminal.problem_lines):
        console.print(Text(visible_line(line), style=style), soft_wrap=True)
    for image in terminal.pushed:
        console.print(Text(f"pushed {image}", style="green"))
    took = f"{time.monotonic() - started_s:.1f} s"
    why = f": {outcome.message}" if outcome.message else ""
    console.print(Text(visible_line(f"{plan.title} {outcome.state} in {took}{why}"), style="bold"))
    return outcome


def _builder(path: str, home: str) -> "Builder":
    from runner.builds.buildkit import find_builder

    return find_builder(path, home)


def _assignment(run: Run, plan: JobPlan, failed: tuple[str, ...], *, builds: bool) -> Assignment:
    job_leftovers, network = run.bootstrap.next_job()
    set_aside, keeping = SetAside(), run.keeping
    return Assignment(
        plan=plan,
        key=job_leftovers.key,
        attempt=1,
        folder=job_leftovers.folder,
        check_out=partial(run.tree.check_out, how=plan.checkout or Checkout(), for_builds=builds),
        secrets=run.secrets,
        logins=logins(docker_config(), print_error),
        options=Options(push=run.push),
        network=network,
        clean_up=partial(keeping.end, plan, set_aside) if keeping else run.bootstrap.clean_up,
        egress=run.egress,
        failed_needs=failed,
        local=True,
        artifacts=run.artifacts.of(plan),
        caches=local_caches(os.environ, run.tree.folder),
        reuse=run.reuse.of(plan) if run.reuse else None,
        set_aside=set_aside if keeping else None,
    )


def skip(run: Run, plan: JobPlan, outcome: Outcome) -> None:
    """Shows that a job does not run."""
    run.terminals[plan.number].rows.job.end(State.SKIPPED, visible_line(outcome.message))
    run.console.print(Text(f"{plan.title} {outcome.state}: {outcome.message}", style="bold"))


def _unchanged(emit: Emit) -> Emit:
    return emit


def print_error(sentence: str) -> None:
    """Writes a sentence to standard error."""
    sys.stderr.write(f"headway: {sentence}\n")
