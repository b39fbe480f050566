"""The inputs of a workflow: checks what the file declares and what the run was given, and settles the values."""

from collections.abc import Iterable, Iterator, Sequence

from pipelines import inputs
from pipelines.environment.variable_names import why_not_a_name
from pipelines.inputs import DeclaredInput
from pipelines.model.inputs import InputDeclaration
from pipelines.parser.discovery import dialect_of
from pipelines.parser.input_declarations import declared_input, why_not_declared
from pipelines.parser.validation import LocatedWorkflow
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.trigger import Trigger


def declared_inputs(located: LocatedWorkflow) -> tuple[DeclaredInput, ...]:
    """What the workflow declares."""
    return tuple(declared_input(name, asked) for name, asked in located.workflow.inputs.items())


def with_inputs(located: LocatedWorkflow, trigger: Trigger) -> Trigger:
    """The trigger with the values of this workflow's inputs, and of no other. Problems go to the diagnostics.

    A file of Woodpecker's cannot declare inputs: from an administrator it takes all others as well.
    """
    declared = declared_inputs(located)
    _check_declarations(located, declared)
    for name, sentence in inputs.wrong_values(declared, trigger.inputs):
        located.diagnostics.error(located.key_place("inputs", name), sentence, "start the run with another value")
    free = trigger.inputs if takes_undeclared([located.diagnostics.file], trigger) else {}
    return trigger.model_copy(update={"inputs": {**free, **inputs.values_of(declared, trigger.inputs)}})


def takes_undeclared(files: Iterable[str], trigger: Trigger) -> bool:
    """True if the run may have inputs that no file declares."""
    return trigger.inputs_by_admin and all(dialect_of(file).lenient for file in files)


def check_required(located: LocatedWorkflow, trigger: Trigger) -> None:
    """Reports inputs that the workflow, which runs, needs and did not get."""
    if trigger.event not in inputs.EVENTS_WITH_INPUTS:
        return
    for each in inputs.missing_inputs(declared_inputs(located), trigger.inputs):
        message, hint = f"the input {each.name} needs a value", f"start the run with {each.name}=VALUE"
        located.diagnostics.error(located.key_place("inputs", each.name), message, hint)


def check_given(files: Sequence[str], declared: Iterable[DeclaredInput], trigger: Trigger) -> list[Problem]:
    """What is wrong with the inputs of a run whatever workflow they are for: their names, their size, unknown ones."""
    found = [(sentence, "start the run without it") for sentence in inputs.wrong_names_and_sizes(trigger.inputs)]
    if not takes_undeclared(files, trigger):
        found += inputs.undeclared_inputs({each.name for each in declared}, trigger.inputs)
    return [Problem(files[0], 1, 1, message, hint) for message, hint in found]


def refuse_inputs(trigger: Trigger) -> None:
    """For a repository without a pipeline file. Raises InvalidPipelineError if the run has inputs."""
    if trigger.inputs:
        message = f"the run has inputs ({', '.join(trigger.inputs)[:80]}), but a Dockerfile alone declares none"
        raise InvalidPipelineError([Problem("Dockerfile", 1, 1, message, "add a .headway.yml, or leave them out")])


def merged(declared: Iterable[DeclaredInput]) -> tuple[DeclaredInput, ...]:
    """The inputs of all workflows by name, for a form: the first declaration of each counts, any may require it."""
    found: dict[str, DeclaredInput] = {}
    for each in declared:
        first = found.setdefault(each.name, each)
        if each.required and not first.required:
            found[each.name] = first.model_copy(update={"required": True})
    return tuple(found.values())[: inputs.INPUTS_COUNT_MAX]


def _check_declarations(located: LocatedWorkflow, declared: Sequence[DeclaredInput]) -> None:
    if len(declared) > inputs.INPUTS_COUNT_MAX:
        message = f"a workflow has at most {inputs.INPUTS_COUNT_MAX} inputs, this one has {len(declared)}"
        located.diagnostics.error(located.key_place("inputs"), message, "remove some")
    axes = {name for name, node in getattr(located.root.by_key.get("matrix"), "by_key", {}).items() if node}
    for each in declared[: inputs.INPUTS_COUNT_MAX]:
        place = located.key_place("inputs", each.name)
        for message, hint in _wrong(each, located.workflow.inputs[each.name], axes):
            located.diagnostics.error(place, f"the input '{each.name[:80]}' {message}", hint)


def _wrong(each: DeclaredInput, asked: InputDeclaration, axes: set[str]) -> Iterator[tuple[str, str]]:
    if why := why_not_a_name(each.name):
        yield f"cannot have this name: {why}", "give it another name"
    if each.name in axes:
        yield "is also an axis of the matrix, which would hide it", "rename one of them"
    yield from why_not_declared(each, asked)
