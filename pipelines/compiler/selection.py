"""Which steps of a workflow run for a trigger, and in which image: the first half of planning a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

from pipelines.compiler.build_plugins import unwrap
from pipelines.compiler.conditions import Decision
from pipelines.compiler.scope import Scope
from pipelines.model.workflow import BuildStep, CommandsStep, ImageChoice, PluginStep, PushStep, Step
from pipelines.plan import LeftOut
from pipelines.syntax.diagnostics import did_you_mean


@dataclass
class Draft:
    """A step on its way into the plan.

    ``group`` and ``index`` say where it stands in the file. ``name`` is its own, ``known_as`` what others call it.
    ``build`` is the draft whose image it runs in or pushes. ``provides`` are the names of the image that it builds.
    When it does not run, ``number`` is 0 and ``left_out`` says why.
    """

    group: str
    index: int
    name: str
    known_as: str
    step: Step
    provides: frozenset[str] = frozenset()
    decision: Decision = field(default_factory=lambda: Decision(runs=True))
    build: "Draft | None" = None
    number: int = 0
    left_out: str = ""
    needs: tuple[int, ...] = ()

    @property
    def detached(self) -> bool:
        """True when the job does not wait for it."""
        return isinstance(self.step, CommandsStep | PluginStep) and self.step.detach


@dataclass
class Drafts:
    """All steps of a job. ``provided`` are the images that they build, by their full names.

    ``runs`` is False where the conditions of the workflow itself say no.
    """

    scope: Scope
    runs: bool = True
    all: list[Draft] = field(default_factory=list)
    provided: dict[str, Draft] = field(default_factory=dict)

    @property
    def kept(self) -> list[Draft]:
        """Those that run, by number."""
        return [draft for draft in self.all if not draft.left_out]

    @cached_property
    def by_name(self) -> dict[str, list[Draft]]:
        """The steps by their own names and by what others call them. For use when all of them are there."""
        found: dict[str, list[Draft]] = {}
        for draft in self.all:
            for name in {draft.name, draft.known_as}:
                found.setdefault(name, []).append(draft)
        return found

    @cached_property
    def checkout_numbers(self) -> frozenset[int]:
        """The numbers of the steps of ``clone``."""
        return frozenset(draft.number for draft in self.kept if draft.group == "clone")

    def left_out(self) -> list[LeftOut]:
        """Those that do not, and why."""
        where = f" of workflow '{self.scope.name}'"
        return [LeftOut(what=f"step '{draft.name}'{where}", why=draft.left_out) for draft in self.all if draft.left_out]


def draft_steps(scope: Scope, groups: Sequence[tuple[str, Sequence[Step]]], *, runs: bool = True) -> Drafts:
    """The steps of ``groups`` (``clone`` and ``steps``), those that run with their numbers."""
    drafts = Drafts(scope, runs)
    for group, steps in groups:
        for index, step in enumerate(steps):
            name = step.name or f"step-{index}"
            for part in unwrap(name, step, scope.trigger, scope.context):
                draft = Draft(group, index, part.name, name, part.step, provides=part.provides)
                _select(draft, drafts)
                drafts.all.append(draft)
                if not draft.left_out:
                    drafts.provided.update(dict.fromkeys(draft.provides, draft))
    for number, draft in enumerate(drafts.kept, start=1):
        draft.number = number
    return drafts


def _select(draft: Draft, drafts: Drafts) -> None:
    scope = drafts.scope
    draft.decision = scope.decide(draft.step.when, draft.group, draft.index, "when", of_step=True)
    draft.left_out = draft.decision.why if not draft.decision.runs else ""
    choice = _choice(draft.step)
    if choice is None:
        draft.build = _build_by_image_name(draft.step, drafts)
    else:
        _choose_build(draft, choice, drafts)


def _build_by_image_name(step: Step, drafts: Drafts) -> Draft | None:
    """The draft that builds the image which a step calls by its full name, if one before does."""
    if isinstance(step, BuildStep | PushStep) or step.image is None:
        return None
    return drafts.provided.get(step.image.name)


def _choice(step: Step) -> ImageChoice | None:
    """Which image a step wants, or None where it is none that is built here."""
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


def _choose_build(draft: Draft, choice: ImageChoice, drafts: Drafts) -> None:
    """Finds the build step whose image is wanted: the named one, or the only one before."""
    builds = [other for other in drafts.all if isinstance(other.step, BuildStep)]
    if choice.build:
        builds = [other for other in builds if choice.build in {other.name, other.known_as}]
    running = [other for other in builds if not other.left_out]
    if len(running) == 1 or (choice.build and running):
        draft.build = running[-1]
    elif not draft.left_out:
        _explain(draft, choice, builds, running, drafts)


def _explain(draft: Draft, choice: ImageChoice, builds: list[Draft], running: list[Draft], drafts: Drafts) -> None:
    findings, step = drafts.scope.findings, draft.step
    key = ("push", "image") if isinstance(step, PushStep) else ("image",)
    place = drafts.scope.place(draft.group, draft.index, *key)
    names = [other.name for other in drafts.all if isinstance(other.step, BuildStep)]
    if running:
        either = " and ".join(f"'{other.name}'" for other in running)
        findings.error(
            place, f"step '{draft.name}' must say which image: {either} are built before it", "add image: {build: NAME}"
        )
    elif builds:
        draft.left_out = (
            f"the image it needs is not built: step '{builds[-1].name}' is left out ({builds[-1].left_out})"
        )
    elif choice.build:
        hint = did_you_mean(choice.build, names) or "a build step must come before the steps that use its image"
        findings.error(
            place, f"step '{draft.name}' wants the image of '{choice.build}', which no step before builds", hint
        )
    elif drafts.scope.located.lost_a_build() or drafts.scope.located.was_changed(draft.group, draft.index):
        return
    elif isinstance(step, PushStep):
        findings.error(place, f"step '{draft.name}' has nothing to push", "add a step with 'build' before it")
    else:
        hint = "add 'image: NAME', or a step with 'build' before it to run in the image it makes"
        findings.error(place, f"step '{draft.name}' has no image", hint)
