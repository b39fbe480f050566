"""Going on with the container of a step that an earlier process of the job has started."""

from contextlib import ExitStack

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Outcome
from runner.docker.init_program import BROKEN_OFF_STATUS
from runner.execution.artifacts import keep_artifacts
from runner.execution.container import gate
from runner.execution.container.caches import keep_caches
from runner.execution.container.step_container import OnBegun, StartedContainer, discard, follow, report_usage
from runner.execution.container.step_outcome import outcome_of
from runner.execution.job.job import Job
from runner.execution.job.resumption import is_alive
from runner.execution.reporting.reports import read_reports
from runner.logs.output import Output


def go_on(
    job: Job, step: CommandsStep | PluginStep, output: Output, on_begun: OnBegun
) -> Outcome | None:  # fmt: skip
    """Follows the step's container to its end. None if no command of the step has run yet: it starts as any other.

    Its output comes again from the beginning; what is stored already is left out. ``on_begun`` is called first.
    """
    opened = job.resumption.opened().get(step.number)
    if opened is None or step.number not in job.begun:  # a further attempt has a container of its own
        return None
    if _never_started(job, opened.container):
        _forget(job, step, opened.container)
        return None
    stored = job.resumption.begun[step.number]
    output.replays(stored.streams)
    stream = job.engine.replay(opened.container)
    started = StartedContainer(
        opened.container, stream, opened.token, opened.user, opened.image, measure_token=opened.measure_token
    )
    status = gate.GateStatus(opened.token, opened.measure_token)
    with ExitStack() as on_exit, ExitStack() as on_error:
        on_error.callback(discard, job, started)
        job.owner.go_on(opened.user)
        on_exit.callback(job.owner.leave, opened.user)
        if step.detach:
            job.detached[opened.container] = step.number
        on_begun(started)
        stopped = follow(job, step, started, output, status)
        report_usage(job, step, status.used)
        if not stopped and _input_broke_off(job, step, opened.container, status):
            _forget(job, step, opened.container)
            return None
        outcome = stopped or outcome_of(job, step, opened.container, status)
        read_reports(job, step, opened.container, output, outcome)
        outcome = keep_artifacts(job, step, opened.container, output, outcome)
        views = tuple(job.caches.views_in(opened.container))
        keep_caches(job, step, views, opened.container, output, outcome, opened.since_s)
        on_error.pop_all()
    stream.close()
    job.removals.remove_later(opened.container)
    return outcome


def _never_started(job: Job, container: str) -> bool:
    state = (job.engine.inspect(container) or {"State": {}})["State"]
    return is_alive(state) and not state.get("Running")


def _input_broke_off(
    job: Job, step: CommandsStep | PluginStep, container: str, status: gate.GateStatus
) -> bool:  # fmt: skip
    """True if the first process did not get all of its script and files: the process died while it sent that."""
    waited = bool(status.watches or step.secret_files)
    if not waited or status.status is not None or status.used != gate.NOT_MEASURED:
        return False
    state = (job.engine.inspect(container) or {"State": {}})["State"]
    return bool(state.get("ExitCode") == BROKEN_OFF_STATUS)


def _forget(job: Job, step: CommandsStep | PluginStep, container: str) -> None:
    job.begun.pop(step.number, None)
    job.removals.remove_now(container)
