"""The steps of a job that may become part of the plan."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pipelines.compiler.conditions import Decision
from pipelines.compiler.job_input import JobInput
from pipelines.model.workflow import CommandsStep, PluginStep, Step
from pipelines.plan import LeftOut


@dataclass
class StepCandidate:
    """A step that may become part of the plan.

    ``group`` and ``index`` are its location in the file. Other steps refer to it as ``name`` or ``known_as``.
    ``build`` is the candidate whose image it runs in or pushes. ``provides`` are the names of the image that it builds.
    ``of_plugin`` says that it does what a plugin of the file would do.
    If it does not run, ``number`` is 0 and ``left_out`` says why.
    """

    group: str
    index: int
    name: str
    known_as: str
    step: Step
    provides: frozenset[str] = frozenset()
    of_plugin: bool = False
    decision: Decision = field(default_factory=lambda: Decision(runs=True))
    build: "StepCandidate | None" = None
    number: int = 0
    left_out: str = ""
    needs: tuple[int, ...] = ()


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


def steps_with_programs(candidates: StepCandidates) -> Iterator[tuple[str, int, CommandsStep | PluginStep, bool]]:
    """Each step of the file that runs a program: its group, its index, and whether Headway builds or pushes for it."""
    workflow = candidates.job.workflow
    builds = {(each.group, each.index) for each in candidates.all if each.of_plugin}
    for group, steps in (("clone", workflow.clone), ("steps", workflow.steps)):
        for index, step in enumerate(steps):
            if isinstance(step, CommandsStep | PluginStep):
                yield group, index, step, (group, index) in builds
