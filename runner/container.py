"""One container of a step: started, followed to its end, and judged."""

import base64
import time
from dataclasses import dataclass

from pipelines.plan import CommandsStep, Container, PluginStep
from pipelines.state import PASSED, Outcome, Reason, State
from runner import shell
from runner.engine import ContainerSpec
from runner.errors import MachineError
from runner.events import Stream
from runner.hijack import Attached, readable
from runner.job import Job
from runner.output import Lines, Output

KILLED_STATUS = 137
KILL_PATIENCE_S = 30
_HINTS = {126: " (found, but it cannot be executed)", 127: " (a command was not found in the image)"}


@dataclass(frozen=True)
class Stopped:
    """Why the runner ended a container itself."""

    outcome: Outcome


def run(job: Job, step: CommandsStep | PluginStep, output: Output) -> Outcome:
    """Runs a step's container, a fresh one, to its end. Raises StepError, or MachineError for a broken machine."""
    image = job.image_of(step.container.image, Lines(output))
    sandbox = None if _own_network(step.container) or step.detach else job.sandboxes.take()
    network = f"container:{sandbox}" if sandbox else step.container.network_mode or job.sandboxes.network
    container = job.engine.create(_spec(job, step, image, network))
    if step.detach:
        job.detached.append(container)
    try:
        watch = shell.StatusWatch(shell.new_token()) if _has_gate(step) else None
        stream = job.engine.attach(container)
        try:
            job.engine.start(container)
            if watch:
                stream.send(shell.gate_lines(watch.token, _script(job, step)))
            else:
                stream.close_input()
            stopped = _follow(job, step, container, stream, output, watch)
        finally:
            stream.close()
        return stopped.outcome if stopped else _judge(job, container, watch)
    finally:
        job.remove_later(container)
        if sandbox:
            job.sandboxes.give_back(sandbox)


def _own_network(container: Container) -> bool:
    """True where the container asks for what a joined namespace cannot give."""
    return bool(container.network_mode or container.dns or container.dns_search or container.extra_hosts)


def _spec(job: Job, step: CommandsStep | PluginStep, image: str, network: str) -> ContainerSpec:
    container = step.container
    environment = job.environment(container.environment)
    own = network == job.sandboxes.network
    if _has_gate(step):
        environment |= shell.GATE_ENVIRONMENT
    else:
        environment |= late_environment(job)
    if isinstance(step, CommandsStep) and not _has_gate(step):
        environment["CI_SCRIPT"] = base64.b64encode(_script(job, step).encode()).decode()
    return ContainerSpec(
        image=image,
        labels=job.labels(step.number),
        network=network,
        entrypoint=shell.GATE_ENTRYPOINT if _has_gate(step) else container.entrypoint,
        environment=environment,
        binds=(f"{job.workspace_base}:{job.plan.workspace_base}", *container.volumes),
        directory="" if _has_gate(step) else container.directory,
        aliases=(step.name,) if own and step.detach else (),
        stdin=True,
        user=container.user,
        privileged=container.privileged,
        devices=container.devices,
        tmpfs=container.tmpfs,
        dns=container.dns,
        dns_search=container.dns_search,
        extra_hosts=container.extra_hosts,
        limits=job.options.limits,
    )


def late_environment(job: Job) -> dict[str, str]:
    """What is known only when it is a step's turn."""
    return {
        "CI_PIPELINE_STATUS": "failure" if job.failed else "success",
        "CI_PIPELINE_STARTED": str(job.started_s),
        "CI_STEP_STARTED": str(int(time.time())),
    }


def _has_gate(step: CommandsStep | PluginStep) -> bool:
    """Commands run behind the gate, but where the file names an entrypoint of its own for them."""
    return isinstance(step, CommandsStep) and step.container.entrypoint is None


def _script(job: Job, step: CommandsStep | PluginStep) -> str:
    commands = step.commands if isinstance(step, CommandsStep) else ()
    return shell.script_of(commands, step.container.directory, late_environment(job))


def _follow(
    job: Job, step: CommandsStep | PluginStep, container: str, stream: Attached, output: Output,
    watch: shell.StatusWatch | None,
) -> Stopped | None:  # fmt: skip
    """Hands on the output until the container ends. Ends it on cancel and timeout: TERM, grace, KILL."""
    timeout_s = min(step.timeout_s or job.options.step_timeout_s, job.options.step_timeout_s)
    deadline = min(time.monotonic() + timeout_s, job.deadline)
    stopped: Stopped | None = None
    while not stream.ended and (watch is None or watch.status is None):
        now = time.monotonic()
        if stopped is None and (job.cancel or now >= deadline):
            stopped = Stopped(_canceled(job) if job.cancel else _timed_out(timeout_s))
            job.engine.kill(container, "SIGKILL" if job.cancel.lost else "SIGTERM")
            deadline = now + job.options.grace_s
        elif stopped and now >= deadline:
            job.engine.kill(container, "SIGKILL")
            deadline = now + KILL_PATIENCE_S
        if readable(stream, None if stopped else job.cancel.fileno(), max(0.0, deadline - now)):
            _hand_on(stream, output, watch)
    if watch:
        output.write(Stream.STDOUT, watch.flush())
    output.flush()
    return stopped


def _hand_on(stream: Attached, output: Output, watch: shell.StatusWatch | None) -> None:
    try:
        frames = stream.read()
    except OSError as error:
        raise MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the step ran: {error}") from error
    for name, data in frames:
        output.write(name, watch.feed(data) if watch and name is Stream.STDOUT else data)


def _canceled(job: Job) -> Outcome:
    return Outcome(State.CANCELED, Reason.CANCELED, f"canceled by {job.cancel.by}")


def _timed_out(timeout_s: float) -> Outcome:
    return Outcome(
        State.FAILED, Reason.TIMEOUT, f"timed out after {timeout_s:g} s; raise `timeout:` if it needs longer"
    )


def _judge(job: Job, container: str, watch: shell.StatusWatch | None) -> Outcome:
    """The verdict on a container that ended by itself; the gate's word where there is one, else the engine's."""
    code = watch.status if watch and watch.status is not None else job.engine.wait(container)
    if code == 0:
        return PASSED
    if code == KILLED_STATUS:
        job.engine.wait(container)
        state = (job.engine.inspect(container) or {}).get("State", {})
        if state.get("OOMKilled"):
            limit = job.options.limits.memory_bytes
            over = f"its limit of {limit // 1024**2} MiB" if limit else "what the machine has"
            return Outcome(State.FAILED, Reason.OUT_OF_MEMORY, f"killed: it needed more memory than {over}", code)
        return Outcome(State.FAILED, Reason.KILLED, "killed by a signal from outside (SIGKILL)", code)
    return Outcome(State.FAILED, Reason.EXIT_CODE, f"exited with {code}{_HINTS.get(code, '')}", code)
