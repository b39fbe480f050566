"""Evaluates conditions, with the semantics of Woodpecker 3.x: true, or false with the reason."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipelines.context import Context
from pipelines.environment.variables import run_variables
from pipelines.matching.expressions import evaluate
from pipelines.matching.glob import BadPatternError, matches
from pipelines.model.conditions import Condition, PathPatterns, Patterns
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger


class ConditionFacts(NamedTuple):
    """The facts that conditions are evaluated against. Conditions of workflows ignore ``cell``."""

    trigger: Trigger
    context: Context
    cell: Mapping[str, str] = {}
    of_step: bool = False


class Decision(NamedTuple):
    """Whether something runs for a trigger, and in which states of the job so far; or why it does not run.

    ``on_failed_needs``: a condition that holds names no status, so a step runs wherever its workflow does.
    """

    runs: bool
    on_success: bool = True
    on_failure: bool = False
    on_canceled: bool = False
    on_failed_needs: bool = True
    why: str = ""


def decide(conditions: Sequence[Condition], facts: ConditionFacts, runs_on: Collection[str] = ()) -> Decision:
    """Decides by the conditions, of which one must hold. Raises ExpressionError for an invalid ``evaluate``.

    ``runs_on`` are statuses that every condition has besides its own.
    """
    if not conditions and not runs_on:
        return Decision(runs=True)
    refusals = [(condition, _refusal(condition, facts)) for condition in conditions or (Condition(),)]
    matching = [condition for condition, why in refusals if not why]
    if not matching:
        return Decision(runs=False, why="; or ".join(dict.fromkeys(why for _, why in refusals)))
    statuses = [_statuses(condition, facts, runs_on) for condition in matching]
    return Decision(
        runs=True,
        on_success=any("success" in each for each in statuses),
        on_failure=any("failure" in each for each in statuses),
        on_canceled=any("canceled" in each for each in statuses),
        on_failed_needs=any(not condition.status for condition in matching),
    )


def _statuses(condition: Condition, facts: ConditionFacts, runs_on: Collection[str]) -> set[str]:
    # A canceled run starts no further workflow: there the word has no effect.
    without_effect = set() if facts.of_step else {"canceled"}
    return {*condition.status, *runs_on} - without_effect or {"success"}


def _refusal(condition: Condition, facts: ConditionFacts) -> str:
    """Why the condition does not hold, or an empty text."""
    checks: tuple[Callable[[Condition, ConditionFacts], str], ...] = (
        _event,
        _names,
        _branch,
        _cron,
        _path,
        _matrix,
        _evaluate,
    )
    return next((why for check in checks if (why := check(condition, facts))), "")


def _event(condition: Condition, facts: ConditionFacts) -> str:
    event = facts.trigger.event
    if condition.event and event not in condition.event:
        return f"the event is {event}, not {joined_by_or(condition.event)}"
    if condition.local is not None and condition.local != facts.context.local:
        return "it is for local runs only" if condition.local else "it is not for local runs"
    return ""


def _names(condition: Condition, facts: ConditionFacts) -> str:
    context = facts.context
    if not context.known:
        return mismatch("ref", condition.ref, facts.trigger.ref)
    found = {
        "ref": (condition.ref, facts.trigger.ref),
        "repo": (condition.repo, context.repo.name),
        "instance": (condition.instance, context.system_host),
        "platform": (condition.platform, context.platform),
    }
    return next((why for noun, (patterns, value) in found.items() if (why := mismatch(noun, patterns, value))), "")


def _branch(condition: Condition, facts: ConditionFacts) -> str:
    trigger = facts.trigger
    return "" if trigger.event is Event.TAG else mismatch("branch", condition.branch, trigger.branch)


def _cron(condition: Condition, facts: ConditionFacts) -> str:
    trigger = facts.trigger
    return mismatch("cron job", condition.cron, trigger.cron) if trigger.event is Event.CRON else ""


def _matrix(condition: Condition, facts: ConditionFacts) -> str:
    if not facts.of_step:
        return ""
    axes = condition.matrix.items()
    return next((why for axis, patterns in axes if (why := mismatch(axis, patterns, facts.cell.get(axis, "")))), "")


def mismatch(noun: str, patterns: Patterns, value: str) -> str:
    """Why the value does not match the patterns, or an empty text."""
    if not patterns.include and not patterns.exclude:
        return ""
    excluded = _first_match(patterns.exclude, [value])
    if excluded:
        return f"the {noun} '{value}' is excluded by '{excluded}'"
    if patterns.include and not _first_match(patterns.include, [value]):
        return f"the {noun} is '{value}', not {joined_by_or(patterns.include)}"
    return ""


def _path(condition: Condition, facts: ConditionFacts) -> str:
    """Does not hold if no changed file is included, or if all of them are excluded."""
    trigger, patterns = facts.trigger, condition.path
    if trigger.event is not Event.PUSH and trigger.event not in PULL_REQUEST_EVENTS:
        return ""
    if patterns.ignore_message and patterns.ignore_message.lower() in trigger.message.lower():
        return ""
    if trigger.too_many_changed:
        return ""
    files = trigger.changed_files or ()
    if not files:
        return "" if patterns.on_empty else "no files changed"
    return _path_mismatch(patterns, files)


def _path_mismatch(patterns: PathPatterns, files: Sequence[str]) -> str:
    if patterns.exclude and all(_first_match(patterns.exclude, [name]) for name in files):
        return f"all changed files are excluded by {joined_by_or(patterns.exclude)}"
    if patterns.include and not _first_match(patterns.include, files):
        return f"no changed file matches {joined_by_or(patterns.include)}"
    return ""


def _first_match(patterns: Iterable[str], values: Sequence[str]) -> str:
    return next((pattern for pattern in patterns if any(_matches(pattern, value) for value in values)), "")


def _matches(pattern: str, value: str) -> bool:
    try:
        return matches(pattern, value)
    except BadPatternError:  # patterns were validated before; this one is too long together with this value
        return False


def _evaluate(condition: Condition, facts: ConditionFacts) -> str:
    if not condition.evaluate:
        return ""
    trigger = facts.trigger
    variables = {**trigger.inputs, **run_variables(trigger, facts.context), **facts.cell}
    given = {name: value for name, value in variables.items() if value}
    return "" if evaluate(condition.evaluate, given) else f"evaluate says no: {condition.evaluate}"


def joined_by_or(names: Sequence[str]) -> str:
    """The names in quotes, or the events, joined by commas and "or"."""
    words = [f"'{name}'" if not isinstance(name, Event) else str(name) for name in names]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
