"""The container of one step: starts it, follows its output, stops it on cancellation or timeout, gives the outcome."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Outcome, Reason
from runner.caches.store import View
from runner.docker.containers.specs import ContainerSpec
from runner.docker.streams.attach import Attached, readable
from runner.errors import DiskNearlyFullError, StepError
from runner.events import StepMeasured
from runner.execution.artifacts import keep_artifacts
from runner.execution.container import gate
from runner.execution.container.caches import (
    MountedCaches,
    cannot_mount,
    hand_over,
    keep_caches,
    mount_caches,
    report_found,
)
from runner.execution.container.container_spec import container_spec
from runner.execution.container.image_volumes import hidden_by_volumes
from runner.execution.container.launch import Launch, launch
from runner.execution.container.script import script_of, script_variable
from runner.execution.container.secret_files import secret_files_input, with_secret_files
from runner.execution.container.step_outcome import engine_gone, outcome_of
from runner.execution.container.unneeded import unneeded
from runner.execution.job.deadline import Deadline
from runner.execution.job.git_settings import git_variables, written_at_start
from runner.execution.job.job import Job
from runner.execution.job.journal import OpenedContainer
from runner.execution.job.workspace_owner import PASSWD_BYTES_MAX, user_number
from runner.execution.reporting.reports import read_reports
from runner.logs.output import Lines, Output

KILL_TIMEOUT_S = 30
DISK_POLL_S = 0.5
_DRONE_STATUSES = {"success": "success", "failure": "failure", "canceled": "killed"}


@dataclass(frozen=True)
class StartedContainer:
    """A step's container that is attached and started. With a ``token`` it waits at its gate for the script.

    ``restore`` are lines of that script (see ``launch``). ``user`` is the number of the user that it runs as, None if
    that is not known; ``image`` is its image. Without a gate it reports with ``measure_token`` what it used.
    """

    container: str
    stream: Attached
    token: str
    user: int | None
    image: str
    restore: tuple[str, ...] = ()
    measure_token: str = ""
    caches: tuple[View, ...] = ()


OnBegun = Callable[[StartedContainer], object]


def run(
    job: Job,
    step: CommandsStep | PluginStep,
    output: Output,
    prestarted: StartedContainer | None,
    on_begun: OnBegun,
) -> Outcome:
    """Runs a step in a fresh container to its end: in ``prestarted`` if there is one, else in a new one.

    ``on_begun`` is called when its commands have begun. Raises StepError, or MachineError for a broken machine.
    """
    for note in job.plan.notes:
        output.note(note)
    if prestarted:
        job.write_pull_log(step, Lines(output))
    started = prestarted or start(job, step, job.image_of(step, Lines(output)))
    status = gate.GateStatus(started.token, started.measure_token)
    with ExitStack() as on_exit, ExitStack() as on_error:
        on_error.callback(discard, job, started)
        if started.token:
            job.owner.enter(started.user, started.image)
        on_exit.callback(job.owner.leave, started.user)
        _note_volumes(job, step, started.image, output)
        if started.token:
            _record(job, step, started)
            script = gate.gate_input(started.token, _script(job, step, started.restore))
            _send(started.stream, secret_files_input(job, step) + script)
        on_begun(started)
        since_s = time.time()
        report_found(job, step, started.caches, output)
        stopped = follow(job, step, started, output, status)
        report_usage(job, step, status.used)
        outcome = stopped or outcome_of(job, step, started.container, status)
        read_reports(job, step, started.container, output, outcome)
        outcome = keep_artifacts(job, step, started.container, output, outcome)
        keep_caches(job, step, started.caches, started.container, output, outcome, since_s)
        on_error.pop_all()
    started.stream.close()
    restore = started.restore if started.token else None
    for container in unneeded(job, step, started.container, outcome, late_environment(job, step), restore):
        job.removals.remove_later(container)
    return outcome


def _note_volumes(job: Job, step: CommandsStep | PluginStep, image: str, output: Output) -> None:
    """Raises StepError if the image hides the whole checkout from commands. A plugin may have no need of it."""
    volumes = job.images.config_of(image).get("Volumes") or {}
    whole, parts = hidden_by_volumes(job.plan, step.container, volumes)
    if whole and isinstance(step, CommandsStep):
        raise StepError(Reason.BAD_COMMAND, whole)
    for sentence in filter(None, (whole, parts)):
        output.note(f"headway: {sentence}")


def start(job: Job, step: CommandsStep | PluginStep, image: str) -> StartedContainer:
    """Creates, attaches and starts a step's container. Commands then wait at their gate. Raises StepError."""
    caches = mount_caches(job, step, image, _user_name(job, step, image))
    try:
        with job.timed("create", step.name):
            return _start(job, step, image, caches)
    except StepError as error:
        if not cannot_mount(job, caches, error):
            raise
    caches = mount_caches(job, step, image, _user_name(job, step, image))
    with job.timed("create", step.name):
        return _start(job, step, image, caches)


def _start(job: Job, step: CommandsStep | PluginStep, image: str, caches: MountedCaches) -> StartedContainer:
    network = step.container.network_mode or job.network.ensure()
    own = job.images.environment_of(image) if has_gate(step) else {}
    ready = launch(job.environment(step.container.environment), own)
    volumes = tuple(job.images.config_of(image).get("Volumes") or ())
    token, measure_token = (gate.new_token(), "") if has_gate(step) else ("", gate.new_token())
    made = caches.into(_spec(job, step, image, network, ready, measure_token))
    spec = written_at_start(made, _user_name(job, step, image), volumes)
    files = secret_files_input(job, step)
    container = job.engine.create(with_secret_files(step, spec))
    with ExitStack() as on_error:
        on_error.callback(job.removals.remove_now, container)
        job.git_files.write(container, spec, volumes)
        if step.detach:
            job.detached[container] = step.number
        stream = job.engine.attach(container)
        on_error.callback(stream.close)
        user = _user_of(job, step, image, container)
        hand_over(job, caches, container, user)
        if not token:
            job.owner.enter(user, image)
            on_error.callback(job.owner.leave, user)
        started = StartedContainer(container, stream, token, user, image, ready.restore, measure_token, caches.views)
        if not token:
            _record(job, step, started)
        job.engine.start(container)
        if not token:
            _send(stream, files)
        on_error.pop_all()
    return started


def _record(job: Job, step: CommandsStep | PluginStep, started: StartedContainer) -> None:
    """Before the commands begin: another process that goes on with the job must not run them again."""
    opened = OpenedContainer(
        started.container, started.token, started.user, started.image, time.time(), started.measure_token
    )
    job.journal.opened(step.number, opened, job.owner.state)


def _user_of(job: Job, step: CommandsStep | PluginStep, image: str, container: str) -> int | None:
    return user_number(
        _user_name(job, step, image), lambda: job.engine.read_file(container, "/etc/passwd", PASSWD_BYTES_MAX)
    )


def _user_name(job: Job, step: CommandsStep | PluginStep, image: str) -> str:
    return step.container.user or str(job.images.config_of(image).get("User") or "")


def discard(job: Job, started: StartedContainer) -> None:
    """Closes the stream and removes the container, which may still run, in the background."""
    started.stream.close()
    job.removals.remove_now(started.container)


def _send(stream: Attached, data: bytes) -> None:
    try:
        stream.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return  # the container or the engine has ended: what follows finds out which
    except OSError as error:
        raise engine_gone(error) from error


def _spec(
    job: Job, step: CommandsStep | PluginStep, image: str, network: str, ready: Launch, measure_token: str
) -> ContainerSpec:  # fmt: skip
    gated = has_gate(step)
    environment = ready.overrides if gated else late_environment(job, step)
    if "DRONE_BUILD_STATUS" in step.container.environment:
        environment = {**environment, "DRONE_BUILD_STATUS": _DRONE_STATUSES[job.status.word]}
    if isinstance(step, CommandsStep) and not gated:
        environment = {**environment, "CI_SCRIPT": script_variable(_script(job, step))}
    environment = job.environment(step.container.environment) | environment
    base = ContainerSpec(
        image=image,
        labels=job.labels(step.number),
        network=network,
        entrypoint=None if gated else step.container.entrypoint,
        environment=environment | git_variables({**job.images.environment_of(image), **environment}),
        directory="" if gated else step.container.directory,
        aliases=(step.container.aliases or (step.name,)) if network == job.network.name and step.detach else (),
        stdin=gated,
    )
    return container_spec(job, step.container, base, measure_token)


def late_environment(job: Job, step: CommandsStep | PluginStep) -> dict[str, str]:
    """Variables whose values are known only when the step runs."""
    if isinstance(step, CommandsStep) and step.sources:  # what is not in its key, it does not see
        return {"CI_PIPELINE_STATUS": job.status.word}
    url = job.assignment.step_url(step.number)
    return {
        **({"CI_STEP_URL": url} if url else {}),
        "CI_PIPELINE_STATUS": job.status.word,
        "CI_PIPELINE_STARTED": str(job.started_s),
        "CI_STEP_STARTED": str(int(time.time())),
    }


def has_gate(step: CommandsStep | PluginStep) -> bool:
    """True for commands, unless the pipeline file gives them an entrypoint of its own."""
    return isinstance(step, CommandsStep) and step.container.entrypoint is None


def _script(job: Job, step: CommandsStep | PluginStep, restore: tuple[str, ...] = ()) -> str:
    commands = step.commands if isinstance(step, CommandsStep) else ()
    return script_of(commands, step.container.directory, late_environment(job, step), restore)


def follow(
    job: Job, step: CommandsStep | PluginStep, started: StartedContainer, output: Output, status: gate.GateStatus
) -> Outcome | None:  # fmt: skip
    """Forwards the output until the container ends. On cancellation or timeout: TERM, grace, KILL. A full disk: KILL.

    Returns the outcome if it stopped the container.
    """
    container, stream = started.container, started.stream
    limit = job.time_for(step)
    deadline = limit.deadline
    stopped: Outcome | None = None
    while not stream.ended and not status:
        now = time.monotonic()
        if stopped is None and (stopped := _why_stop(job, limit, now)):
            at_once = job.cancel.lost or stopped.reason is Reason.DISK_FULL
            job.engine.kill(container, "SIGKILL" if at_once else "SIGTERM")
            deadline = now + job.options.grace_s
        elif stopped and now >= deadline:
            job.engine.kill(container, "SIGKILL")
            deadline = now + KILL_TIMEOUT_S
        wait_s = min(max(0.0, deadline - now), DISK_POLL_S)
        if readable(stream, None if stopped else job.cancel.fileno(), wait_s):
            _forward(stream, output, status)
    for name, watch in status.filters.items():
        output.write(name, watch.flush())
    output.flush()
    return stopped


def report_usage(job: Job, step: CommandsStep | PluginStep, used: gate.Used) -> None:
    """Emits what the step's container used, as far as that is known."""
    if used != gate.NOT_MEASURED and job.limits.are_counted:
        limit = job.limits.of(step.container).memory_bytes
        job.emit(StepMeasured(step.number, used.memory_peak_bytes, round(used.cpu_s, 3), limit))


def _why_stop(job: Job, limit: Deadline, now: float) -> Outcome | None:
    """How a step ends that must be stopped now; None if it may go on."""
    if job.cancel:
        return job.canceled()
    if now >= limit.deadline:
        return limit.outcome()
    if problem := job.options.disk_problem():
        return DiskNearlyFullError(problem).outcome
    return None


def _forward(stream: Attached, output: Output, status: gate.GateStatus) -> None:
    try:
        frames = stream.read()
    except OSError as error:
        raise engine_gone(error) from error
    for name, data in frames:
        watch = status.filters.get(name)
        output.write(name, watch.feed(data) if watch else data)
