"""The models of ``when``: conditions on the trigger, as Woodpecker 3.x has them."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.matching.glob import BadPatternError, matches
from pipelines.model import other_ci_systems
from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Flag, Items, Text, fail, fields_of, text_of
from pipelines.model.json_types import ALSO_SHORT, OneOrMany, Written
from pipelines.syntax.diagnostics import did_you_mean
from pipelines.syntax.nodes import ListNode, ScalarNode
from pipelines.trigger import Event

STATUSES = ("success", "failure", "canceled")


def _list_hint(key: str, name: str) -> str:
    """The list that a text with commas is meant to be, or an empty text."""
    words = [word.strip() for word in name.split(",")]
    return f"write {key}: [{', '.join(words)}]" if len(words) > 1 and all(words) else ""


def event_hint(name: str) -> str:
    """What to write instead of an unknown event."""
    if listed := _list_hint("event", name):
        return listed
    ours = other_ci_systems.EVENTS.get(name)
    near = f"did you mean '{ours}'?" if ours else did_you_mean(name, Event)
    return near or "the events are " + ", ".join(Event)


def status_hint(name: str) -> str:
    """What to write instead of an unknown status."""
    return _list_hint("status", name) or did_you_mean(name, STATUSES) or "they are " + ", ".join(STATUSES)


def _event(value: object) -> object:
    name = text_of(value)
    if isinstance(name, str) and name not in set(Event):
        fail(f"'{name}' is not an event", event_hint(name))
    return name


def _status(value: object) -> object:
    name = text_of(value)
    if isinstance(name, str) and name not in STATUSES:
        fail(f"'{name}' is not a status that a step can wait for", status_hint(name))
    return name


def _pattern(value: object) -> object:
    if isinstance(value, ScalarNode):
        try:
            matches(value.text, "")
        except BadPatternError as error:
            fail(str(error), "close it, or write a backslash before what is meant as it is")
    return value


Pattern = Annotated[Text, Before(_pattern)]
_EventName = Annotated[Event, Before(_event), Written({"enum": list(Event)})]
Events = Annotated[tuple[_EventName, ...], Items, OneOrMany()]
Status = Annotated[Literal["success", "failure", "canceled"], Before(_status)]
Statuses = Annotated[tuple[Status, ...], Items, OneOrMany()]
PatternList = Annotated[tuple[Pattern, ...], Items, OneOrMany()]


def _include(value: object) -> object:
    return {"include": value} if isinstance(value, ScalarNode | ListNode) else value


class Patterns(PipelineModel):
    """Globs: one of ``include`` must match, and none of ``exclude`` may."""

    include: PatternList = ()
    exclude: PatternList = ()


class PathPatterns(Patterns):
    """Globs over the changed files."""

    ignore_message: Text = ""
    on_empty: Flag = True


Choice = Annotated[Patterns, Before(_include), ALSO_SHORT]
PathChoice = Annotated[PathPatterns, Before(_include), ALSO_SHORT]


class Condition(PipelineModel):
    """Holds if all of its keys hold. An empty one always holds."""

    event: Events = ()
    branch: Choice = Patterns()
    ref: Choice = Patterns()
    repo: Choice = Patterns()
    instance: Choice = Patterns()
    platform: Choice = Patterns()
    cron: Choice = Patterns()
    path: PathChoice = PathPatterns()
    matrix: Annotated[dict[str, Choice], Before(fields_of)] = Field(default_factory=dict)
    status: Statuses = ()
    evaluate: Text = ""
    local: Flag | None = None


Conditions = Annotated[tuple[Condition, ...], Items, OneOrMany()]
"""A list of conditions of which one must hold, or a single condition. An empty list always holds."""
