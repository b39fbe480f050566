"""``headway run``: runs the pipeline of a folder on this machine, from the plan to the exit status."""

import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from pipelines.needs import EndedJob, failed_needs, skip_after
from pipelines.plan import JobPlan, Plan
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.state import Outcome, Reason, State, verdict
from pipelines.visible import visible_line
from runner.cancellation import Cancel
from runner.cli import exit_status
from runner.cli.cache_folder import cache_folder
from runner.cli.run.artifacts import LocalArtifacts
from runner.cli.run.bootstrap import RunBootstrap
from runner.cli.run.choice.plan import notes_of, plan_for
from runner.cli.run.cleanup_process import past_cleanup_failures
from runner.cli.run.job_run import Run, docker_config, print_error, run_plan, skip
from runner.cli.run.json_lines import JsonLines
from runner.cli.run.live_list import LiveList
from runner.cli.run.options import RunOptions
from runner.cli.run.reuse import reuse_for, store_results
from runner.cli.run.secrets import secrets_of
from runner.cli.run.terminal import Terminal
from runner.cli.run.turns import run_in_turns
from runner.errors import MachineError, StepError, as_step_error
from runner.network.egress import EgressSettings, local_egress
from runner.source.working_tree import WorkingTree, working_tree

if TYPE_CHECKING:
    from runner.cli.shell.keeping import FailureKeeping


def run_folder(options: RunOptions, bootstrap: RunBootstrap) -> int:
    """Runs the pipeline and returns the exit status, see ``exit_status``."""
    if not options.watch:
        gc.freeze()
    gc.enable()
    lines = JsonLines(sys.stdout) if options.json else None
    console = Console(highlight=False, quiet=options.json, force_terminal=False if options.json else None)
    if failures := past_cleanup_failures():
        print_error(f"an earlier run could not clean up: {failures}")
    try:
        secrets = secrets_of(options.secrets, options.secrets_file, os.environ, print_error)
        tree = working_tree(options.folder)
        plan = plan_for(tree, options)
    except InvalidPipelineError as error:
        _print_problems(error.problems)
        return exit_status.USAGE
    except StepError as error:
        print_error(str(error))
        return exit_status.USAGE
    _print_problems(plan.warnings)
    _show_notes(console, lines, notes_of(tree, options), plan)
    if not plan.jobs:
        return _nothing_to_run(console, lines)
    try:
        egress = _egress_settings(bootstrap)
        keeping = _keeping(options, tree, bootstrap)
        with LocalArtifacts(cache_folder(os.environ, "artifacts")) as artifacts:
            reuse = reuse_for(plan, tree, artifacts, takes=not options.no_reuse)
            run = Run(console, tree, options.push, secrets, bootstrap, egress, artifacts, reuse, lines, keeping)
            state = _run_jobs(run, plan, options.jobs)
            store_results(reuse, state)
            _print_lines(console, [*artifacts.listed(), *_kept_lines(run, state)])
            return exit_status.OF_STATE[state]
    except (MachineError, OSError) as error:
        return _broken(error, lines)


def _keeping(options: RunOptions, tree: WorkingTree, bootstrap: RunBootstrap) -> "FailureKeeping | None":
    """What keeps a failed job, if that is asked. Removes what an earlier run of the folder has kept."""
    if not options.keep_on_failure and not cache_folder(os.environ, "kept").exists():
        return None
    # Few runs need what follows, and all would load it before their first container.
    from runner.cli.shell.keeping import FailureKeeping, remove_due
    from runner.cli.shell.kept_failure import kept_failures

    failures, repository = kept_failures(os.environ), str(tree.folder)
    try:
        remove_due(failures, repository, bootstrap.clean_up)
    except (StepError, OSError) as error:
        print_error(f"what an earlier run has kept cannot be removed: {error}")
    if not options.keep_on_failure:
        return None
    return FailureKeeping(failures, repository, bootstrap.engine, bootstrap.clean_up, bootstrap.keep, print_error)


def _kept_lines(run: Run, state: State) -> list[str]:
    over = state in {State.PASSED, State.SKIPPED}
    return [] if over or run.keeping is None else [run.keeping.sentence()]


def _nothing_to_run(console: Console, lines: JsonLines | None) -> int:
    _say_nothing_ran(console)
    if lines:
        lines.run_finished(State.SKIPPED)
    return exit_status.DONE


def _broken(error: MachineError | OSError, lines: JsonLines | None) -> int:
    print_error(f"broken: {as_step_error(error)}")
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


def _egress_settings(bootstrap: RunBootstrap) -> EgressSettings:
    """Raises MachineError if an environment variable is wrong."""
    try:
        return local_egress(os.environ, docker_config(), bootstrap.docker_host)
    except ValueError as error:
        raise MachineError(Reason.INTERNAL, str(error)) from None


def _run_jobs(run: Run, plan: Plan, at_once: int) -> State:
    """Runs all jobs, each after the jobs that it needs."""
    run.bootstrap.engine()
    cancel = Cancel()
    several = at_once > 1 and len(plan.jobs) > 1
    live = LiveList(run.console)
    for job in plan.jobs:
        prefix = f"{job.title}/" if several else ""
        run.terminals[job.number] = Terminal(run.console, job, live=live.on, prefix=prefix)
        live.jobs[job.number] = run.terminals[job.number].rows
    previous = signal.signal(signal.SIGINT, lambda _signal, _frame: _interrupted(run.console, cancel))
    try:
        with live:
            ended = run_in_turns(
                plan.jobs, at_once, partial(_run_one, run, cancel, live.on), partial(_has_ended, run),
                partial(cancel.set, "a fault", lost=True),
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, previous)
        cancel.close()
    if live.on:
        _print_lines(run.console, [line for each in run.terminals.values() for line in each.last_lines()])
    ran = any(each.started for each in run.terminals.values())
    if not ran and all(each.state in {State.PASSED, State.SKIPPED} for each in ended):
        _say_nothing_ran(run.console)
    state = verdict([each.state for each in ended])
    if live.on and state is State.FAILED:
        _say_how_to_go_on(run)
    if run.lines:
        for text in _kept_lines(run, state):
            run.lines.write("note", text=text)
        run.lines.run_finished(state)
    return state


def _say_how_to_go_on(run: Run) -> None:
    """After a failure, for people: the options that save time the next time."""
    failed = next(filter(None, (each.failed_step() for each in run.terminals.values())), "")
    if failed and run.keeping is None:
        hint = f"next time: --from {shlex.quote(failed)} begins there; --keep-on-failure keeps it for `headway shell`"
        run.console.print(Text(hint, style="dim"), soft_wrap=True)


def _run_one(run: Run, cancel: Cancel, live: bool, job: JobPlan, ended: Sequence[EndedJob]) -> Outcome:
    failed = failed_needs(each for each in ended if each.name in job.needs)
    outcome = skip_after(failed, on_success=job.on_success, on_failure=job.on_failure)
    if outcome is None:
        return run_plan(run, job, cancel, failed, live=live)
    skip(run, job, outcome)
    return outcome


def _has_ended(run: Run, job: JobPlan, outcome: Outcome) -> None:
    if run.lines:
        run.lines.finished(job, outcome)


def _interrupted(console: Console, cancel: Cancel) -> None:
    """The first Ctrl-C cancels the steps. The second exits at once: the cleanup process removes the containers."""
    if cancel:
        console.show_cursor()
        os._exit(exit_status.INTERRUPTED)
    cancel.set("Ctrl-C")


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        sys.stderr.write(f"{visible_line(str(problem))}\n")
