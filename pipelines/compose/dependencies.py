"""``depends_on`` of a Compose service."""

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.compose.report import Report, shown
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import MapNode, Node

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


class Needed(NamedTuple):
    """What a service waits for in another one. Without ``required`` that one may be missing."""

    place: Place
    completed: bool = False
    required: bool = True


def read_depends_on(node: Node, label: str, report: Report) -> Mapping[str, Needed]:
    """By the names of the other services. ``restart`` has no effect: no service is started again."""
    what = f"'depends_on' of {label}"
    if not isinstance(node, MapNode):
        return {word.text: Needed(word.place) for word in report.words(node, what)}
    found: dict[str, Needed] = {}
    for key, value in node.entries:
        fields = report.only(value, ("condition", "required", "restart"), what)
        condition = report.text(fields["condition"], f"'condition' in {what}") if "condition" in fields else STARTED
        if condition not in CONDITIONS:
            message = f"'condition' in {what} cannot be '{shown(condition)}'"
            report.error(value.place, message, f"the values are {', '.join(CONDITIONS)}")
        required = report.flag(fields["required"], f"'required' in {what}") if "required" in fields else True
        found[key.text] = Needed(key.place, condition == COMPLETED, required)
    return found
