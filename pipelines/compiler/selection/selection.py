"""Selects the steps that run for a trigger."""

from collections.abc import Sequence

from pipelines.compiler.job_input import JobInput
from pipelines.compiler.plugins.build_plugins import expand_build_plugin
from pipelines.compiler.selection.step_candidates import StepCandidate, StepCandidates
from pipelines.compiler.selection.step_image import choose_image
from pipelines.images.build_values import is_one_line
from pipelines.model.workflow import Step
from pipelines.visible import visible_line


def select_steps(job: JobInput, groups: Sequence[tuple[str, Sequence[Step]]], *, runs: bool = True) -> StepCandidates:
    """Selects from the steps of ``groups`` (``clone`` and ``steps``), and numbers those that run."""
    candidates = StepCandidates(job, runs)
    for group, steps in groups:
        for index, step in enumerate(steps):
            name = step.name or f"step-{index}"
            if not is_one_line(name):
                message = f"the name of this step has a line break or a control character: '{visible_line(name)}'"
                job.diagnostics.error(job.place(group, index, "name"), message, "write it in one line")
            for expanded in expand_build_plugin(name, step, job.trigger, job.context):
                candidate = StepCandidate(group, index, expanded.name, name, expanded.step, expanded.provides)
                candidate.of_plugin = expanded.step is not step
                _select(candidate, candidates)
                candidates.all.append(candidate)
                if not candidate.left_out:
                    candidates.provided.update(dict.fromkeys(candidate.provides, candidate))
    for number, candidate in enumerate(candidates.selected, start=1):
        candidate.number = number
    return candidates


def _select(candidate: StepCandidate, candidates: StepCandidates) -> None:
    job = candidates.job
    candidate.decision = job.decide(candidate.step.when, candidate.group, candidate.index, "when", of_step=True)
    candidate.left_out = candidate.decision.why if not candidate.decision.runs else ""
    choose_image(candidate, candidates)
