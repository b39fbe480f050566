"""Dependencies between steps: the order of the file, or a graph if any step has ``depends_on``."""

from graphlib import CycleError, TopologicalSorter

from pipelines.compiler.selection.step_candidates import StepCandidate, StepCandidates
from pipelines.model.workflow import Dependency, PushStep
from pipelines.syntax.diagnostics import did_you_mean


def set_needs(candidates: StepCandidates) -> None:
    """Sets the needs of every selected step."""
    if any(candidate.step.depends_on is not None for candidate in candidates.all):
        _set_needs_by_name(candidates)
    else:
        _set_needs_in_order(candidates.selected)


def _set_needs_in_order(selected: list[StepCandidate]) -> None:
    """Each stage needs the stage before. Neighbours with the same legacy ``group`` are one stage; builds come first."""
    before: tuple[int, ...] = ()
    stage: list[StepCandidate] = []
    for candidate in selected:
        same_group = stage and candidate.step.group and candidate.step.group == stage[-1].step.group
        if not same_group:
            before = tuple(other.number for other in stage) or before
            stage = []
        builds = tuple(other.number for other in stage if other is candidate.build)
        stage.append(candidate)
        candidate.needs = (*before, *builds)


def _set_needs_by_name(candidates: StepCandidates) -> None:
    _refuse_same_names(candidates)
    waits = {candidate.number: _wanted(candidate, candidates) for candidate in candidates.selected}
    try:
        TopologicalSorter({number: sorted(needs) for number, needs in waits.items()}).prepare()
    except CycleError as error:
        _report_cycle(candidates, error.args[1])
        return
    for candidate in candidates.selected:
        candidate.needs = tuple(sorted(waits[candidate.number]))


def _refuse_same_names(candidates: StepCandidates) -> None:
    seen: dict[str, StepCandidate] = {}
    for candidate in candidates.all:
        other = seen.setdefault(candidate.known_as, candidate)
        if (other.group, other.index) != (candidate.group, candidate.index):
            place = candidates.job.place(candidate.group, candidate.index, "name")
            candidates.job.diagnostics.error(
                place, f"two steps are named '{candidate.known_as}'", "with depends_on in the file, names must differ"
            )


def _wanted(candidate: StepCandidate, candidates: StepCandidates) -> set[int]:
    """The numbers of the steps that ``candidate`` depends on, by name and by the image that it uses."""
    wanted = {candidate.build.number} if candidate.build else set()
    dependencies = candidate.step.depends_on
    checkout_steps = candidates.checkout_numbers if candidate.group != "clone" else frozenset()
    if dependencies is None:
        if candidate.group == "clone":
            return {other.number for other in candidates.selected if other.number == candidate.number - 1}
        if isinstance(candidate.step, PushStep) and candidate.name == candidate.known_as:
            return {other.number for other in candidates.selected if other.number < candidate.number}
        return wanted | checkout_steps
    wanted |= checkout_steps
    for index, dependency in enumerate(dependencies):
        wanted |= _numbers_of(dependency, candidate, index, candidates)
    return wanted


def _numbers_of(dependency: Dependency, candidate: StepCandidate, index: int, candidates: StepCandidates) -> set[int]:
    found = candidates.by_name.get(dependency.name, [])
    running = {other.number for other in found if not other.left_out}
    if running or dependency.optional:
        return running
    place = candidates.job.place(candidate.group, candidate.index, "depends_on", index)
    start = f"step '{candidate.name}' depends on '{dependency.name}', which"
    if found:
        hint = f"if it may be missing, write {{name: {dependency.name}, optional: true}}"
        if candidates.runs:  # else the whole workflow is left out
            candidates.job.diagnostics.error(place, f"{start} does not run: {found[0].left_out}", hint)
    else:
        names = (other.known_as for other in candidates.all if other is not candidate)
        hint = "" if candidates.job.diagnostics.full else did_you_mean(dependency.name, names)
        candidates.job.diagnostics.error(place, f"{start} is not a step here", hint)
    return set()


def _report_cycle(candidates: StepCandidates, cycle: list[int]) -> None:
    by_number = {candidate.number: candidate for candidate in candidates.selected}
    steps = [by_number[number] for number in reversed(cycle)]
    chain = " -> ".join(f"'{candidate.name}'" for candidate in steps)
    place = candidates.job.place(steps[0].group, steps[0].index, "depends_on")
    candidates.job.diagnostics.error(
        place, f"these steps wait for each other: {chain}", "remove one of these depends_on"
    )
