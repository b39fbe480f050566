"""Chooses the build step whose image a step runs in or pushes: the one that it names, or the only one before it."""

from typing import assert_never

from pipelines.compiler.selection.step_candidates import StepCandidate, StepCandidates
from pipelines.model.workflow import BuildStep, CommandsStep, ImageChoice, PluginStep, PushStep, Step
from pipelines.syntax.diagnostics import did_you_mean


def choose_image(candidate: StepCandidate, candidates: StepCandidates) -> None:
    """Sets ``build`` of the candidate, if its image is built before it in this job; reports a missing build."""
    choice = _choice(candidate.step)
    if choice is None:
        candidate.build = _build_by_image_name(candidate.step, candidates)
    else:
        _choose_build(candidate, choice, candidates)


def _build_by_image_name(step: Step, candidates: StepCandidates) -> StepCandidate | None:
    """The candidate before the step that builds the image with the step's full image name, if any."""
    if isinstance(step, BuildStep | PushStep) or step.image is None:
        return None
    return candidates.provided.get(step.image.name)


def _choice(step: Step) -> ImageChoice | None:
    """Which built image a step wants, or None if it wants none."""
    match step:
        case BuildStep():
            return None
        case PushStep():
            image = step.push.image or ImageChoice()
            return ImageChoice(build=image.build or image.name)
        case CommandsStep() | PluginStep():
            image = step.image or ImageChoice()
            return None if image.name else image
        case _:
            assert_never(step)


def _choose_build(candidate: StepCandidate, choice: ImageChoice, candidates: StepCandidates) -> None:
    """Sets the build step whose image is wanted: the one with that name, or the only one before."""
    builds = [other for other in candidates.all if isinstance(other.step, BuildStep)]
    if choice.build:
        builds = [other for other in builds if choice.build in {other.name, other.known_as}]
    running = [other for other in builds if not other.left_out]
    if len(running) == 1 or (choice.build and running):
        candidate.build = running[-1]
    elif not candidate.left_out:
        _report_missing_build(candidate, choice, builds, running, candidates)


def _report_missing_build(
    candidate: StepCandidate,
    choice: ImageChoice,
    builds: list[StepCandidate],
    running: list[StepCandidate],
    candidates: StepCandidates,
) -> None:
    diagnostics, step = candidates.job.diagnostics, candidate.step
    key = ("push", "image") if isinstance(step, PushStep) else ("image",)
    place = candidates.job.place(candidate.group, candidate.index, *key)
    names = [other.name for other in candidates.all if isinstance(other.step, BuildStep)]
    if running:
        either = " and ".join(f"'{other.name}'" for other in running)
        diagnostics.error(
            place,
            f"step '{candidate.name}' must say which image: {either} are built before it",
            "add image: {build: NAME}",
        )
    elif builds:
        candidate.left_out = (
            f"the image it needs is not built: step '{builds[-1].name}' is left out ({builds[-1].left_out})"
        )
    elif choice.build:
        hint = did_you_mean(choice.build, names) or "a build step must come before the steps that use its image"
        diagnostics.error(
            place, f"step '{candidate.name}' wants the image of '{choice.build}', which no step before builds", hint
        )
    elif candidates.job.located.lost_a_build() or candidates.job.located.was_changed(candidate.group, candidate.index):
        return
    elif isinstance(step, PushStep):
        diagnostics.error(place, f"step '{candidate.name}' has nothing to push", "add a step with 'build' before it")
    else:
        hint = "add 'image: NAME', or a step with 'build' before it to run in the image it makes"
        diagnostics.error(place, f"step '{candidate.name}' has no image", hint)
