"""Selects the steps that run for a trigger, and the build step whose image each of them uses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

from pipelines.compiler.build_plugins import expand_build_plugin
from pipelines.compiler.conditions import Decision
from pipelines.compiler.job_input import JobInput
from pipelines.model.workflow import BuildStep, CommandsStep, ImageChoice, PluginStep, PushStep, Step
from pipelines.plan import LeftOut
from pipelines.syntax.diagnostics import did_you_mean


@dataclass
class StepCandidate:
    """A step that may become part of the plan.

    ``group`` and ``index`` are its location in the file. Other steps refer to it as ``name`` or ``known_as``.
    ``build`` is the candidate whose image it runs in or pushes. ``provides`` are the names of the image that it builds.
    If it does not run, ``number`` is 0 and ``left_out`` says why.
    """

    group: str
    index: int
    name: str
    known_as: str
    step: Step
    provides: frozenset[str] = frozenset()
    decision: Decision = field(default_factory=lambda: Decision(runs=True))
    build: "StepCandidate | None" = None
    number: int = 0
    left_out: str = ""
    needs: tuple[int, ...] = ()

    @property
    def detached(self) -> bool:
        """True if the job does not wait for it."""
        return isinstance(self.step, CommandsStep | PluginStep) and self.step.detach


@dataclass
class StepCandidates:
    """All steps of a job. ``provided`` are the images that they build, by full name.

    ``runs`` is False if the conditions of the workflow itself do not hold.
    """

    job: JobInput
    runs: bool = True
    all: list[StepCandidate] = field(default_factory=list)
    provided: dict[str, StepCandidate] = field(default_factory=dict)

    @property
    def selected(self) -> list[StepCandidate]:
        """The steps that run, by number."""
        return [candidate for candidate in self.all if not candidate.left_out]

    @cached_property
    def by_name(self) -> dict[str, list[StepCandidate]]:
        """The steps by both names. Call it only after all steps were added."""
        found: dict[str, list[StepCandidate]] = {}
        for candidate in self.all:
            for name in {candidate.name, candidate.known_as}:
                found.setdefault(name, []).append(candidate)
        return found

    @cached_property
    def checkout_numbers(self) -> frozenset[int]:
        """The numbers of the steps of ``clone``."""
        return frozenset(candidate.number for candidate in self.selected if candidate.group == "clone")

    def left_out(self) -> list[LeftOut]:
        """The steps that do not run, and why."""
        where = f" of workflow '{self.job.name}'"
        return [
            LeftOut(what=f"step '{candidate.name}'{where}", why=candidate.left_out)
            for candidate in self.all
            if candidate.left_out
        ]


def select_steps(job: JobInput, groups: Sequence[tuple[str, Sequence[Step]]], *, runs: bool = True) -> StepCandidates:
    """Selects from the steps of ``groups`` (``clone`` and ``steps``), and numbers those that run."""
    candidates = StepCandidates(job, runs)
    for group, steps in groups:
        for index, step in enumerate(steps):
            name = step.name or f"step-{index}"
            for expanded in expand_build_plugin(name, step, job.trigger, job.context):
                candidate = StepCandidate(group, index, expanded.name, name, expanded.step, provides=expanded.provides)
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
