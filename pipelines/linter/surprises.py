"""Warnings of what is accepted and does something else than its author expects."""

import re
from collections.abc import Sequence

from pipelines.compiler.job_input import JobInput, WorkflowItem
from pipelines.environment.variables import OWN_NAMES
from pipelines.linter.patterns import warn_of_patterns
from pipelines.matching.expressions import ExpressionError, names_in
from pipelines.model.conditions import Condition
from pipelines.model.workflow import BuildStep, CommandsStep, ComposeService, PluginStep, PushStep, Service
from pipelines.parser.discovery import dialect_of
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_OF_IMAGES = frozenset({"PATH", "HOME", "PWD", "USER", "LD_LIBRARY_PATH"})
# A reader of Go, as Woodpecker's is, makes a number of these.
_NUMBER_IN_GO = re.compile(r"[-+]?(?:0[0-9]+|0[bB][01_]+|[0-9]+(?:_[0-9]+)+)")


def warn_of_surprises(job: JobInput) -> None:
    """Adds the warnings about one workflow to its diagnostics."""
    _steps_for_success(job)
    _conditions(job, ("when",), job.workflow.when)
    _axes(job)
    for item in job.items():
        _conditions(job, (*item.where, "when"), item.model.when)
        if isinstance(item.model, BuildStep | PushStep):
            continue
        _environment(job, item)
        _directory(job, item)
        _without_effect(job, item, item.model)
        node = job.located.node(*item.where)
        if isinstance(node, MapNode) and "settings" in node.by_key:
            _numbers(job, node.by_key["settings"])


def _conditions(job: JobInput, where: tuple[str | int, ...], conditions: Sequence[Condition]) -> None:
    axes = set(job.cell)
    warn_of_patterns(job, where, conditions)
    for index, condition in enumerate(conditions):
        for name in condition.matrix:
            if name not in axes:
                _axis(job, (*where, index, "matrix", name), name, axes)
        if condition.evaluate:
            _names(job, (*where, index, "evaluate"), condition.evaluate)


def _names(job: JobInput, where: tuple[str | int, ...], expression: str) -> None:
    """Warns of names that are nothing here. A file of Woodpecker's cannot declare what a run may be given."""
    known = OWN_NAMES | set(job.cell) | set(job.workflow.inputs)
    try:
        unknown = sorted(names_in(expression) - known)
    except ExpressionError:
        return
    if not unknown or dialect_of(job.diagnostics.file).lenient:
        return
    near = did_you_mean(unknown[0], known)
    if near or job.workflow.inputs or unknown[0].startswith("CI_"):
        hint = near or "declare it under 'inputs', or remove it"
        message = f"{unknown[0]} is nothing that this expression can know, so it is always empty"
        job.diagnostics.warning(job.place(*where), message, hint)


def _steps_for_success(job: JobInput) -> None:
    """Warns of steps that run only after success where their workflow runs only after a failure."""
    workflow = job.workflow
    statuses = [{*condition.status, *workflow.runs_on} - {"canceled"} for condition in workflow.when or (Condition(),)]
    if any(not each or "success" in each for each in statuses):
        return
    for item in job.items():
        conditions = item.model.when if item.group == "steps" else ()
        if conditions and all(condition.status == ("success",) for condition in conditions):
            message = f"{item.label} never runs: it is for success, and the workflow runs only after a failure"
            place = job.located.key_place(*item.where, "when")
            job.diagnostics.warning(place, message, "remove one of the conditions, or widen it")


def _axis(job: JobInput, where: tuple[str | int, ...], name: str, axes: set[str]) -> None:
    message = f"the matrix has no axis '{name}'"
    hint = f"the axes are {', '.join(sorted(axes))}" if axes else "remove it"
    if name in {"include", "exclude"}:
        hint = f"{name} stands below an axis: matrix: {{{min(axes, default='AXIS')}: {{{name}: [VALUE]}}}}"
    job.diagnostics.warning(job.located.key_place(*where), message, hint)


def _environment(job: JobInput, item: WorkflowItem) -> None:
    node = job.located.node(*item.where)
    environment = node.by_key.get("environment") if isinstance(node, MapNode) else None
    for key, value in environment.entries if isinstance(environment, MapNode) else ():
        name = key.text
        _variable(job, key, f"in {item.label}")
        if isinstance(value, ScalarNode):
            _expansion(job, name, value)


def _variable(job: JobInput, key: ScalarNode, where: str) -> None:
    name = key.text
    if not _NAME.fullmatch(name):
        message = f"'{name[:80]}' is no name of a variable: no shell can use it"
        job.diagnostics.warning(key.place, message, "use letters, digits and _, with no digit first")
    elif name in OWN_NAMES:
        job.diagnostics.warning(key.place, f"'{name}' replaces Headway's own variable {where}", "give it another name")


def _axes(job: JobInput) -> None:
    """Each axis is a variable of all steps."""
    matrix = job.located.node("matrix")
    for key, values in matrix.entries if isinstance(matrix, MapNode) else ():
        combinations = values.items if key.text == "include" and isinstance(values, ListNode) else []
        names = [name for each in combinations if isinstance(each, MapNode) for name, _ in each.entries]
        for name in names or [key]:
            _variable(job, name, "in all steps")
        if not combinations:
            _repeated(job, key.text, values)


def _repeated(job: JobInput, axis: str, values: Node) -> None:
    seen: set[str] = set()
    for value in values.items if isinstance(values, ListNode) else ():
        if isinstance(value, ScalarNode) and value.text in seen:
            message = f"'{value.text}' stands twice in the axis '{axis}', and its jobs run twice"
            job.diagnostics.warning(value.place, message, "remove one of them")
        elif isinstance(value, ScalarNode):
            seen.add(value.text)


def _expansion(job: JobInput, name: str, value: ScalarNode) -> None:
    for found in _REFERENCE.findall(value.text):
        if found in _OF_IMAGES or found == name or found.startswith("CI_"):
            message = f"${found} stays as it is written in '{name}': no shell reads 'environment'"
            hint = f"set it in the commands: export {name}={value.text.replace('${', '$${')}"
            job.diagnostics.warning(value.place, message, hint)
            return


def _directory(job: JobInput, item: WorkflowItem) -> None:
    model = item.model
    if isinstance(model, Service) and model.directory and not model.commands:
        message = f"'directory' has no effect in {item.label}: it starts where its image says"
        hint = "remove it, or give the service commands"
        job.diagnostics.warning(job.located.key_place(*item.where, "directory"), message, hint)
    elif isinstance(model, CommandsStep | PluginStep) and "$" in model.directory:
        message = f"the directory '{model.directory}' has a $ in its name: no shell reads it"
        hint = "write a path from the checkout, such as web"
        job.diagnostics.warning(job.place(*item.where, "directory"), message, hint)


def _without_effect(job: JobInput, item: WorkflowItem, model: CommandsStep | PluginStep | Service) -> None:
    if isinstance(model, Service):
        found = [("entrypoint", model.entrypoint is not None and bool(model.commands), "its commands run in a shell")]
    else:
        named = model.image is not None and bool(model.image.name)
        useless_failure = model.detach and model.failure != "fail" and not isinstance(model, ComposeService)
        found = [
            ("pull", model.pull and not named, "it runs in the image that was built"),
            ("failure", useless_failure, "the end of a detached step does not count"),
        ]
    for key, useless, why in found:
        if useless:
            place = job.located.key_place(*item.where, key)
            job.diagnostics.warning(place, f"'{key}' has no effect in {item.label}: {why}", "remove it")


def _numbers(job: JobInput, node: Node) -> None:
    match node:
        case ScalarNode() if node.plain and _NUMBER_IN_GO.fullmatch(node.text):
            message = f"{node.text} is text here, but a number for Woodpecker and other readers written in Go"
            job.diagnostics.warning(node.place, message, f"write '{node.text}' in quotes")
        case ListNode():
            for item in node.items:
                _numbers(job, item)
        case MapNode():
            for value in node.by_key.values():
                _numbers(job, value)
        case _:
            return
