"""The outcome of a step whose container ended by itself: passed, failed by its exit code, or killed for its memory."""

import signal

from pipelines.images import platforms
from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.step_options.resources import shown_bytes
from runner.errors import MachineError
from runner.execution.container.gate import GateStatus
from runner.execution.container.script_trouble import open_quote, script_trouble
from runner.execution.job.job import Job

EXIT_TIMEOUT_S = 15
"""A container exits at the same time as its streams end, or shortly after."""
NOT_RUNNABLE_STATUS, NOT_FOUND_STATUS = 126, 127
SYNTAX_STATUS = 2
_SCRIPT_STATUSES = (SYNTAX_STATUS, NOT_RUNNABLE_STATUS, NOT_FOUND_STATUS)
"""How a shell ends that cannot run a script, or cannot read it."""
SIGNAL_STATUS = 128
_MEANINGS: dict[int, str] = {
    signal.SIGHUP: "its terminal or its parent went away",
    signal.SIGINT: "an interrupt, as by Ctrl-C",
    signal.SIGILL: "it may be built for another processor",
    signal.SIGTRAP: "a breakpoint or an assertion",
    signal.SIGABRT: "it aborted itself, as after a failed assertion",
    signal.SIGBUS: "a crash, for instance for a full /dev/shm",
    signal.SIGFPE: "a crash in arithmetic, such as a division by zero",
    signal.SIGKILL: "a `kill -9`, or the kernel; the engine does not report that memory ran out",
    signal.SIGSEGV: "a crash by a wrong memory access",
    signal.SIGPIPE: "it wrote to a pipe whose reader had ended",
    signal.SIGTERM: "a `kill` asked it to end",
}
_HINTS = {
    NOT_RUNNABLE_STATUS: " (found, but it cannot be executed)",
    NOT_FOUND_STATUS: " (a command was not found in the image)",
}


def engine_gone(why: object) -> MachineError:
    return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the step ran: {why}")


def outcome_of(job: Job, step: CommandsStep | PluginStep, container: str, status: GateStatus) -> Outcome:
    """The outcome of a container that ended by itself: by the gate's exit status if it came, else by the engine's."""
    code = _exit_code(job, container) if status.status is None else status.status
    gate_failed = bool(status.watches) and not status
    if code == 0 and gate_failed:
        raise engine_gone("its output broke off")
    if code == 0:
        return PASSED
    if memory := _out_of_memory(job, step, container, code, status.used.memory_peak_bytes):
        return memory
    if gate_failed and code == _killed_by(signal.SIGKILL):
        # Not by the step: none of its processes can kill the first one.
        message = "killed by a signal from outside of the step (SIGKILL): its whole container was ended"
        return Outcome(State.FAILED, Reason.KILLED, message, code)
    if status.signal == signal.SIGKILL:
        message = f"its shell was killed by SIGKILL (exit code {code}): {_MEANINGS[signal.SIGKILL]}"
        return Outcome(State.FAILED, Reason.KILLED, message, code)
    if gate_failed and code in _HINTS:
        hint = "a step with commands needs an image that has a shell (sh); use another image, or `entrypoint`"
        return Outcome(State.FAILED, Reason.BAD_COMMAND, f"the image cannot run the step's commands; {hint}", code)
    if gate_failed and (platform := _foreign_platform(job, container)):
        message = f"exited with {code}: its image is for {platform}, which this machine runs only by emulation"
        return Outcome(State.FAILED, Reason.BAD_COMMAND, f"{message}; {platforms.EMULATION}", code)
    said = _signal_hint(code, status.signal) or _hint(step, code)
    message = f"exited with {code}{said}{_script_hint(job, step, code)}"
    return Outcome(State.FAILED, Reason.EXIT_CODE, message, code)


def _out_of_memory(
    job: Job, step: CommandsStep | PluginStep, container: str, code: int, peak_bytes: int
) -> Outcome | None:  # fmt: skip
    """The outcome of a container in which the kernel killed a process for its memory, as the engine says; or None."""
    job.engine.wait(container, EXIT_TIMEOUT_S)  # the engine knows for certain only when the container has ended
    if not (job.engine.inspect(container) or {}).get("State", {}).get("OOMKilled"):
        return None
    whole = code == _killed_by(signal.SIGKILL)
    killed = "killed for memory" if whole else f"exited with {code}, and a process was killed for memory"
    said = f"{killed}: {_used_memory(job, step, peak_bytes)}"
    return Outcome(State.FAILED, Reason.OUT_OF_MEMORY, said, code)


def _used_memory(job: Job, step: CommandsStep | PluginStep, peak_bytes: int) -> str:
    """How much of which limit a step used, and what raises that."""
    limit, most = job.limits.of(step.container).memory_bytes, job.limits.most.memory_bytes
    if not limit:
        used = f"it used {shown_bytes(peak_bytes)}, and" if peak_bytes else "it needed more than it got:"
        return f"{used} it has no limit, so the machine had no more"
    peak, shown = shown_bytes(peak_bytes or limit), shown_bytes(limit)
    used = f"it used {peak}, its limit" if peak == shown else f"it used {peak}, and its limit is {shown}"
    if most and limit >= most and not job.assignment.local:
        return f"{used}; HEADWAY_STEP_MEMORY_BYTES_MAX is what a step of this server may have at most"
    return f"{used}; `resources: {{memory: ...}}` raises it"


def _killed_by(number: int) -> int:
    """The exit status that a shell gives to a program which a signal ended."""
    return SIGNAL_STATUS + number


def _signal_hint(code: int, killed_by: int) -> str:
    """What an exit status means by which shells report a signal: of the step's own shell (``killed_by``) or a program.

    A program may also choose such a number itself.
    """
    meaning = _MEANINGS.get(code - SIGNAL_STATUS)
    if not meaning:
        return ""
    name = signal.Signals(code - SIGNAL_STATUS).name
    if killed_by:
        return f" (its shell was ended by {name}: {meaning})"
    return f" (128 + {code - SIGNAL_STATUS}: perhaps {name} ended one of its programs: {meaning})"


def _foreign_platform(job: Job, container: str) -> str:
    """The platform of a container's image, such as ``linux/s390x``; empty if it is the engine's own."""
    image = job.engine.image(str((job.engine.inspect(container) or {}).get("Image", ""))) or {}
    arch = str(image.get("Architecture") or "")
    return f"linux/{arch}" if arch not in {"", job.engine.connection.version.arch} else ""


def _script_hint(job: Job, step: CommandsStep | PluginStep, code: int) -> str:
    if not isinstance(step, CommandsStep) or code not in _SCRIPT_STATUSES:
        return ""
    plan = job.plan
    found = open_quote(step.commands) if code == SYNTAX_STATUS else ""
    found = found or script_trouble(
        job.workspace_base, plan.workspace_base, step.container.directory, step.commands,
        not_runnable=code == NOT_RUNNABLE_STATUS,
    )  # fmt: skip
    return f"; {found}" if found else ""


def _hint(step: CommandsStep | PluginStep, code: int) -> str:
    """What the shell's reserved exit codes mean. docker-init uses them too, if it cannot start an entrypoint."""
    container = step.container
    if isinstance(step, PluginStep) and not container.entrypoint:
        return ""  # no shell of ours: the code is the plugin's own
    if code == NOT_FOUND_STATUS and container.entrypoint:
        return f" (`entrypoint` {container.entrypoint[0]!r}, or a command that it ran, was not found in the image)"
    return _HINTS.get(code, "")


def _exit_code(job: Job, container: str) -> int:
    """The engine's exit code. The streams have ended: if the container still runs, the connection was cut."""
    code = job.engine.wait(container, EXIT_TIMEOUT_S)
    if code is None:
        raise engine_gone("its output broke off")
    return code
