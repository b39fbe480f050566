"""Which step waits for which: in the order of the file, or by ``depends_on`` where any step has it."""

from graphlib import CycleError, TopologicalSorter

from pipelines.compiler.selection import Draft, Drafts
from pipelines.model.workflow import Dependency, PushStep
from pipelines.syntax.diagnostics import did_you_mean


def connect(drafts: Drafts) -> None:
    """Gives every kept draft its needs. A detached step is never waited for: its own needs stand in for it."""
    if any(draft.step.depends_on is not None for draft in drafts.all):
        _connect_by_names(drafts)
    else:
        _connect_in_order(drafts.kept)


def _connect_in_order(kept: list[Draft]) -> None:
    """Each stage needs the one before. Neighbours with the same old ``group`` make one stage, builds first."""
    before: tuple[int, ...] = ()
    stage: list[Draft] = []
    for draft in kept:
        together = stage and draft.step.group and draft.step.group == stage[-1].step.group
        if not together:
            before = tuple(other.number for other in stage if not other.detached) or before
            stage = []
        builds = tuple(other.number for other in stage if other is draft.build)
        stage.append(draft)
        draft.needs = (*before, *builds)


def _connect_by_names(drafts: Drafts) -> None:
    _refuse_same_names(drafts)
    waits = {draft.number: _wanted(draft, drafts) for draft in drafts.kept}
    try:
        order = list(TopologicalSorter({number: sorted(needs) for number, needs in waits.items()}).static_order())
    except CycleError as error:
        _report_cycle(drafts, error.args[1])
        return
    by_number = {draft.number: draft for draft in drafts.kept}
    for number in order:
        needs: set[int] = set()
        for wanted in waits[number]:
            needs.update(by_number[wanted].needs if by_number[wanted].detached else (wanted,))
        by_number[number].needs = tuple(sorted(needs))


def _refuse_same_names(drafts: Drafts) -> None:
    seen: dict[str, Draft] = {}
    for draft in drafts.all:
        other = seen.setdefault(draft.known_as, draft)
        if (other.group, other.index) != (draft.group, draft.index):
            place = drafts.scope.place(draft.group, draft.index, "name")
            drafts.scope.findings.error(
                place, f"two steps are named '{draft.known_as}'", "with depends_on in the file, names must differ"
            )


def _wanted(draft: Draft, drafts: Drafts) -> set[int]:
    """The numbers of the steps that ``draft`` asks for, by name and by the image that it uses."""
    wanted = {draft.build.number} if draft.build else set()
    dependencies = draft.step.depends_on
    checkout_steps = drafts.checkout_numbers if draft.group != "clone" else frozenset()
    if dependencies is None:
        if draft.group == "clone":
            return {other.number for other in drafts.kept if other.number == draft.number - 1}
        if isinstance(draft.step, PushStep) and draft.name == draft.known_as:
            return {other.number for other in drafts.kept if other.number < draft.number}
        return wanted | checkout_steps
    wanted |= checkout_steps
    for index, dependency in enumerate(dependencies):
        wanted |= _numbers_of(dependency, draft, index, drafts)
    return wanted


def _numbers_of(dependency: Dependency, draft: Draft, index: int, drafts: Drafts) -> set[int]:
    found = drafts.by_name.get(dependency.name, [])
    running = {other.number for other in found if not other.left_out}
    if running or dependency.optional:
        return running
    place = drafts.scope.place(draft.group, draft.index, "depends_on", index)
    start = f"step '{draft.name}' depends on '{dependency.name}', which"
    if found:
        hint = f"if it may be missing, write {{name: {dependency.name}, optional: true}}"
        if drafts.runs:  # else the workflow is left out as a whole, and nobody waits
            drafts.scope.findings.error(place, f"{start} does not run: {found[0].left_out}", hint)
    else:
        names = (other.known_as for other in drafts.all if other is not draft)
        hint = "" if drafts.scope.findings.full else did_you_mean(dependency.name, names)
        drafts.scope.findings.error(place, f"{start} is not a step here", hint)
    return set()


def _report_cycle(drafts: Drafts, cycle: list[int]) -> None:
    by_number = {draft.number: draft for draft in drafts.kept}
    steps = [by_number[number] for number in reversed(cycle)]
    chain = " -> ".join(f"'{draft.name}'" for draft in steps)
    place = drafts.scope.place(steps[0].group, steps[0].index, "depends_on")
    drafts.scope.findings.error(place, f"these steps wait for each other: {chain}", "remove one of these depends_on")
