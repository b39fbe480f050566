"""Checks the sources of steps: a step that could see what its sources do not say has none."""

from collections.abc import Iterator

from pipelines.compiler.selection.step_candidates import StepCandidates, steps_with_programs
from pipelines.compiler.step_options.artifacts import wrong_patterns
from pipelines.model.workflow import CommandsStep


def check_sources(candidates: StepCandidates) -> None:
    """Reports sources of steps whose result may depend on more than the checkout, the image and the environment."""
    job = candidates.job
    for group, index, step, _ in steps_with_programs(candidates):
        if not isinstance(step, CommandsStep) or not step.sources:
            continue
        name = step.name or f"step-{index}"
        where = (group, index, "sources")
        for why in _reasons(group, step):
            message = f"step '{name}' cannot have 'sources': {why}"
            job.diagnostics.error(job.located.key_place(*where), message, "remove 'sources': the step then always runs")
        wrong_patterns(job, where, name, step.sources, "sources")


def _reasons(group: str, step: CommandsStep) -> Iterator[str]:
    if group == "clone":
        yield "it makes the checkout"
    if step.detach:
        yield "with 'detach' it has no end of its own"
    keys = ("privileged", "volumes", "devices")
    given = [key for key in keys if getattr(step, key)]
    given += ["network_mode"] if step.network_mode not in {"", "none", "bridge"} else []
    if given:
        yield f"'{given[0]}' lets it use what is not in the repository"
