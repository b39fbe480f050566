"""Values that Woodpecker only warns of. In its files they are warnings here too, and match nothing."""

from collections.abc import Callable, Collection

from pipelines.model.conditions import STATUSES, event_hint, status_hint
from pipelines.model.fields import TIME_HINT, is_time
from pipelines.model.workflow import FAILURES
from pipelines.parser.legacy_syntax import change_conditions, each_map
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.trigger import Event


def drop_unknown_values(root: MapNode, diagnostics: Diagnostics) -> MapNode:
    """The workflow, in current syntax, without unknown events, statuses, values of ``failure`` and timeouts."""
    root = change_conditions(root, lambda condition: _lenient_condition(condition, diagnostics))
    root = _without_wrong(root, "timeout", is_time, "is not a time and has no effect", TIME_HINT, diagnostics)
    groups = {"steps", "services", "clone"} & root.by_key.keys()
    changed = {key: each_map(root.by_key[key], lambda step: _lenient_step(step, diagnostics)) for key in groups}
    return _with(root, changed)


def _lenient_step(step: MapNode, diagnostics: Diagnostics) -> MapNode:
    step = change_conditions(step, lambda condition: _lenient_condition(condition, diagnostics))
    step = _without_wrong(step, "timeout", is_time, "is not a time and has no effect", TIME_HINT, diagnostics)
    message, hint = "is not a value of 'failure' and counts as 'fail'", "the values are " + ", ".join(FAILURES)
    return _without_wrong(step, "failure", FAILURES.__contains__, message, hint, diagnostics)


def _without_wrong(
    holder: MapNode, key: str, right: Callable[[str], bool], message: str, hint: str, diagnostics: Diagnostics
) -> MapNode:
    value = holder.by_key.get(key)
    if not isinstance(value, ScalarNode) or value.is_null or right(value.text):
        return holder
    diagnostics.warning(value.place, f"'{value.text}' {message}", hint)
    return holder.with_entries([entry for entry in holder.entries if entry[0].text != key])


def _lenient_condition(condition: MapNode, diagnostics: Diagnostics) -> MapNode:
    condition = _only_known(
        condition, "event", tuple(Event), "is not an event and never happens", event_hint, diagnostics
    )
    message = "is not an outcome that a step can wait for"
    return _only_known(condition, "status", STATUSES, message, status_hint, diagnostics)


def _only_known(
    condition: MapNode,
    key: str,
    known: Collection[str],
    message: str,
    hint: Callable[[str], str],
    diagnostics: Diagnostics,
) -> MapNode:
    value = condition.by_key.get(key)
    items = value.items if isinstance(value, ListNode) else (value,)
    unknown = [item for item in items if isinstance(item, ScalarNode) and not item.is_null and item.text not in known]
    for item in unknown:
        diagnostics.warning(item.place, f"'{item.text}' {message}", hint(item.text))
    if value is None or not unknown:
        return condition
    kept = tuple(item for item in items if isinstance(item, Node) and item not in unknown)
    if kept:
        return _with(condition, {key: ListNode(value.place, kept)})
    # No value is left, which would match everything: the condition must never hold.
    others = [entry for entry in condition.entries if entry[0].text not in {key, "evaluate"}]
    never = (ScalarNode(value.place, "evaluate"), ScalarNode(value.place, "false"))
    return condition.with_entries([*others, never])


def _with(node: MapNode, changed: dict[str, Node]) -> MapNode:
    return node.with_entries([(key, changed.get(key.text, value)) for key, value in node.entries])
