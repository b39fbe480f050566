"""Plans what the steps wait for: ``ready`` of a service or of a detached step."""

from pipelines.compiler.environment_limits import check_word
from pipelines.compiler.job_input import JobInput
from pipelines.model.workflow import CommandsStep, PluginStep, ReadyCheck
from pipelines.step_options.ready import CommandCheck, ExitCheck, HttpCheck, PortCheck, Ready

PORT_MAX = 65535


def plan_ready(
    job: JobInput, check: ReadyCheck | None, where: tuple[str | int, ...], label: str
) -> Ready | None:  # fmt: skip
    """The check of the container at ``where``, which is one and no more."""
    if check is None or job.located.was_changed(*where, "ready"):
        return None
    asked = (check.command is not None, check.port is not None, bool(check.http), check.exit)
    if sum(asked) == 1:
        if check.command and check.command.text:
            check_word(job, label, check.command.text, (*where, "ready"))
            return CommandCheck(command=check.command.text)
        if check.port and check.port <= PORT_MAX:
            return PortCheck(port=check.port)
        if check.http:
            return HttpCheck(url=check.http)
        if check.exit:
            return ExitCheck()
    hint = "write a command, {port: 5432}, {http: 'http://:8080/health'} or exit"
    job.diagnostics.error(job.place(*where, "ready"), f"'ready' of {label} is not one check", hint)
    return None


def plan_ready_of_step(
    job: JobInput, step: CommandsStep | PluginStep, where: tuple[str | int, ...], label: str
) -> Ready | None:  # fmt: skip
    """The same for a step, which must be detached, and whose end nothing waits for."""
    if step.ready is None:
        return None
    place = job.located.key_place(*where, "ready")
    if not step.detach:
        hint = "write detach: true for a step that goes on beside those after it; else remove 'ready'"
        job.diagnostics.error(place, f"'ready' goes only with 'detach' in {label}", hint)
    elif step.ready.exit:
        hint = "remove 'detach' and 'ready': the next step starts when this one has ended"
        job.diagnostics.error(place, f"'ready: exit' does not go with 'detach' in {label}", hint)
    return plan_ready(job, step.ready, where, label)
