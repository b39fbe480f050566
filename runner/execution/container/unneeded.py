"""Which containers are removed when a step has ended: its own, unless that is set aside for a shell in it."""

from collections.abc import Mapping, Sequence

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Outcome
from runner.execution.container.script import script_of
from runner.execution.job.job import Job
from runner.execution.job.set_aside import FailedContainer


def unneeded(
    job: Job,
    step: CommandsStep | PluginStep,
    container: str,
    outcome: Outcome,
    environment: Mapping[str, str],
    restore: Sequence[str] | None,
) -> Sequence[str]:
    """The containers to remove. ``environment`` and ``restore`` are what the step's script set before its commands.

    Without ``restore`` the container has no gate: to start it again would run its program again.
    """
    set_aside = job.assignment.set_aside
    if set_aside is None or restore is None or step.detach:
        return [container]
    # What restores a variable may have a part of its value in it.
    lines = tuple(map(job.redactor.mask_text, restore))
    preparation = script_of((), step.container.directory, environment, lines)
    files = tuple(each.path for each in step.secret_files)
    return set_aside.ended(FailedContainer(step.name, container, preparation, files), outcome)
