"""One container of a step: started, followed to its end, and judged."""

import base64
import time
from contextlib import ExitStack
from dataclasses import dataclass

from pipelines import platforms
from pipelines.plan import CommandsStep, Container, PluginStep
from pipelines.state import PASSED, Outcome, Reason, State
from runner.docker.attach import Attached, readable
from runner.docker.specs import ContainerSpec
from runner.errors import MachineError, StepError
from runner.events import Stream
from runner.execution import gate
from runner.execution.job import Job
from runner.logs.output import Lines, Output

KILLED_STATUS = 137
KILL_PATIENCE_S = 30
VARIABLE_BYTES_MAX = 128 * 1024 - 64
"""What Linux passes to a program as one variable, less the variable's name."""
STREAM_END_S = 15
"""A container whose streams have ended has ended itself, or does so at once."""
NOT_FOUND_STATUS = 127
_HINTS = {126: " (found, but it cannot be executed)", NOT_FOUND_STATUS: " (a command was not found in the image)"}


@dataclass(frozen=True)
class Started:
    """A step's container on its way: attached, started and, with a ``token``, waiting at its gate."""

    container: str
    stream: Attached
    token: str


class Ended:
    """The end of a step's two outputs, as its gate tells it on each of them; without a ``token`` there is no gate."""

    def __init__(self, token: str) -> None:
        names = (Stream.STDOUT, Stream.STDERR) if token else ()
        self.watches = {name: gate.StatusWatch(token) for name in names}

    def __bool__(self) -> bool:
        """True when the gate's last words came on both outputs."""
        return bool(self.watches) and all(watch.status is not None for watch in self.watches.values())

    @property
    def status(self) -> int | None:
        """The exit status that the gate told."""
        return next((watch.status for watch in self.watches.values() if watch.status is not None), None)


@dataclass(frozen=True)
class Stopped:
    """Why the runner ended a container itself."""

    outcome: Outcome


def run(job: Job, step: CommandsStep | PluginStep, output: Output, early: Started | None) -> Outcome:
    """Runs a step's container, a fresh one, to its end; ``early`` is the one that was started before its turn.

    Raises StepError, or MachineError for a broken machine.
    """
    if early:
        job.tell_of_image(step, Lines(output))
    started = early or start(job, step, job.image_of(step, Lines(output)))
    ended = Ended(started.token)
    with ExitStack() as on_error:
        on_error.callback(discard, job, started)
        if started.token:
            _open_gate(started.stream, gate.gate_lines(started.token, _script(job, step)))
        stopped = _follow(job, step, started.container, started.stream, output, ended)
        outcome = stopped.outcome if stopped else _judge(job, step, started.container, ended)
        on_error.pop_all()
    started.stream.close()
    job.removals.in_time(started.container)
    return outcome


def start(job: Job, step: CommandsStep | PluginStep, image: str) -> Started:
    """Makes, attaches and starts a step's container. Commands then wait at their gate. Raises StepError."""
    if own_network(step.container) or step.detach:
        network = step.container.network_mode or job.sandboxes.open()
    else:
        network = job.lanes.join(step.number)
    container = job.engine.create(_spec(job, step, image, network))
    with ExitStack() as on_error:
        on_error.callback(job.removals.now, container)
        if step.detach:
            job.detached.append(container)
        stream = job.engine.attach(container)
        on_error.callback(stream.close)
        job.engine.start(container)
        on_error.pop_all()
    return Started(container, stream, gate.new_token() if has_gate(step) else "")


def discard(job: Job, started: Started) -> None:
    """Lets go of the container, which may still run; it is removed off the way of the run."""
    started.stream.close()
    job.removals.now(started.container)


def _open_gate(stream: Attached, lines: bytes) -> None:
    try:
        stream.send(lines)
    except (BrokenPipeError, ConnectionResetError):
        return  # nobody reads there any more: how the container, or the engine, ended tells why
    except OSError as error:
        raise _gone(error) from error


def own_network(container: Container) -> bool:
    """True where the container asks for what a joined namespace cannot give."""
    return bool(container.network_mode or container.dns or container.dns_search or container.extra_hosts)


def _spec(job: Job, step: CommandsStep | PluginStep, image: str, network: str) -> ContainerSpec:
    container = step.container
    environment = job.environment(container.environment)
    own = network == job.sandboxes.network
    if has_gate(step):
        environment |= gate.GATE_ENVIRONMENT
    else:
        environment |= late_environment(job)
    if isinstance(step, CommandsStep) and not has_gate(step):
        environment["CI_SCRIPT"] = _script_variable(_script(job, step))
    return ContainerSpec(
        image=image,
        labels=job.labels(step.number),
        network=network,
        entrypoint=gate.GATE_ENTRYPOINT if has_gate(step) else container.entrypoint,
        environment=environment,
        folders=(job.workspace_folder, *job.company.folders),
        binds=container.volumes,
        directory="" if has_gate(step) else container.directory,
        aliases=(step.name,) if own and step.detach else (),
        stdin=has_gate(step),
        user=container.user,
        privileged=container.privileged,
        devices=container.devices,
        tmpfs=container.tmpfs,
        dns=container.dns,
        dns_search=container.dns_search,
        extra_hosts=container.extra_hosts,
        limits=job.options.limits,
    )


def _script_variable(script: str) -> str:
    value = base64.b64encode(script.encode(errors="surrogateescape")).decode()
    if len(value) > VARIABLE_BYTES_MAX:
        hint = "put them into a file of the repository, or leave `entrypoint` out"
        message = f"the commands are too long for an image's own entrypoint, which gets them in a variable; {hint}"
        raise StepError(Reason.BAD_COMMAND, message)
    return value


def late_environment(job: Job) -> dict[str, str]:
    """What is known only when it is a step's turn."""
    return {
        "CI_PIPELINE_STATUS": "failure" if job.failed else "success",
        "CI_PIPELINE_STARTED": str(job.started_s),
        "CI_STEP_STARTED": str(int(time.time())),
    }


def has_gate(step: CommandsStep | PluginStep) -> bool:
    """Commands run behind the gate, but where the file names an entrypoint of its own for them."""
    return isinstance(step, CommandsStep) and step.container.entrypoint is None


def _script(job: Job, step: CommandsStep | PluginStep) -> str:
    commands = step.commands if isinstance(step, CommandsStep) else ()
    return gate.script_of(commands, step.container.directory, late_environment(job))


def _follow(
    job: Job, step: CommandsStep | PluginStep, container: str, stream: Attached, output: Output, ended: Ended
) -> Stopped | None:  # fmt: skip
    """Hands on the output until the container ends. Ends it on cancel and timeout: TERM, grace, KILL."""
    limit = job.time_for(step)
    deadline = limit.deadline
    stopped: Stopped | None = None
    while not stream.ended and not ended:
        now = time.monotonic()
        if stopped is None and (job.cancel or now >= deadline):
            stopped = Stopped(job.canceled() if job.cancel else limit.outcome())
            job.engine.kill(container, "SIGKILL" if job.cancel.lost else "SIGTERM")
            deadline = now + job.options.grace_s
        elif stopped and now >= deadline:
            job.engine.kill(container, "SIGKILL")
            deadline = now + KILL_PATIENCE_S
        if readable(stream, None if stopped else job.cancel.fileno(), max(0.0, deadline - now)):
            _hand_on(stream, output, ended)
    for name, watch in ended.watches.items():
        output.write(name, watch.flush())
    output.flush()
    return stopped


def _hand_on(stream: Attached, output: Output, ended: Ended) -> None:
    try:
        frames = stream.read()
    except OSError as error:
        raise _gone(error) from error
    for name, data in frames:
        watch = ended.watches.get(name)
        output.write(name, watch.feed(data) if watch else data)


def _gone(why: object) -> MachineError:
    return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the step ran: {why}")


def _judge(job: Job, step: CommandsStep | PluginStep, container: str, ended: Ended) -> Outcome:
    """The verdict on a container that ended by itself; the gate's word where there is one, else the engine's."""
    code = _exit_code(job, container) if ended.status is None else ended.status
    if code == 0 and ended.watches and not ended:
        raise _gone("its output broke off")
    if code == 0:
        return PASSED
    if code == KILLED_STATUS:
        _exit_code(job, container)
        state = (job.engine.inspect(container) or {}).get("State", {})
        if state.get("OOMKilled"):
            limit = job.options.limits.memory_bytes
            over = f"its limit of {limit // 1024**2} MiB" if limit else "what the machine has"
            return Outcome(State.FAILED, Reason.OUT_OF_MEMORY, f"killed: it needed more memory than {over}", code)
        return Outcome(State.FAILED, Reason.KILLED, "killed by a signal from outside (SIGKILL)", code)
    if ended.watches and not ended and code in _HINTS:
        hint = "a step with commands needs an image that has a shell (sh); use another image, or `entrypoint`"
        return Outcome(State.FAILED, Reason.BAD_COMMAND, f"the image cannot run the step's commands; {hint}", code)
    if ended.watches and not ended and (platform := _foreign_platform(job, container)):
        message = f"exited with {code}: its image is for {platform}, which this machine runs only by emulation"
        return Outcome(State.FAILED, Reason.BAD_COMMAND, f"{message}; {platforms.EMULATION}", code)
    return Outcome(State.FAILED, Reason.EXIT_CODE, f"exited with {code}{_hint(step.container, code)}", code)


def _foreign_platform(job: Job, container: str) -> str:
    """The platform of a container's image where it is not the engine's, such as ``linux/s390x``; or nothing."""
    image = job.engine.image(str((job.engine.inspect(container) or {}).get("Image", ""))) or {}
    arch = str(image.get("Architecture") or "")
    return f"linux/{arch}" if arch not in {"", job.engine.connection.about.arch} else ""


def _hint(container: Container, code: int) -> str:
    """What the shells' own exit codes mean. docker-init uses them as well, when it cannot start an entrypoint."""
    if code == NOT_FOUND_STATUS and container.entrypoint:
        return f" (`entrypoint` {container.entrypoint[0]!r}, or a command that it ran, was not found in the image)"
    return _HINTS.get(code, "")


def _exit_code(job: Job, container: str) -> int:
    """What the engine says. Its streams ended before: a container that still runs means that the connection was cut."""
    code = job.engine.wait(container, STREAM_END_S)
    if code is None:
        raise _gone("its output broke off")
    return code
