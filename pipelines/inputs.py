"""Inputs of a run: what a workflow declares, and whether what a person gave fits it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict

from pipelines.environment.variable_names import why_not_a_name
from pipelines.trigger import Event

INPUTS_COUNT_MAX = 50  # of a workflow, and of a run
INPUTS_BYTES_MAX = 65_536  # all names and values of a run: half of what one environment variable may hold
CHOICES_COUNT_MAX = 100
CHOICE_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 500

InputType = Literal["string", "boolean", "number", "choice"]
INPUT_TYPES = ("string", "boolean", "number", "choice")
EVENTS_WITH_INPUTS = frozenset({Event.MANUAL, Event.DEPLOYMENT, Event.CRON})
"""The events that a person gives inputs for. For all others each input has its default."""

_FORBIDDEN = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


class DeclaredInput(BaseModel):
    """An input that a workflow declares. ``default`` counts where nothing is given; None leaves the variable out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: InputType = "string"
    default: str | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    description: str = ""


def why_not_a_value(declared: DeclaredInput, value: str) -> str:
    """Why the input cannot have this value, as the rest of a sentence; empty if it can."""
    match declared.type:
        case "string":
            return ""
        case "boolean":
            return "" if value in {"true", "false"} else "it is true or false"
        case "number":
            return "" if _NUMBER.fullmatch(value) else "it is a number such as 3 or -0.5"
        case "choice":
            return "" if value in declared.choices else f"it is one of {', '.join(declared.choices)}"
        case _:
            assert_never(declared.type)


def wrong_names_and_sizes(given: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each thing that no pipeline file could allow: names, bytes, sizes."""
    if len(given) > INPUTS_COUNT_MAX:
        yield f"The run has {len(given)} inputs; the limit is {INPUTS_COUNT_MAX}."
    for name, value in list(given.items())[:INPUTS_COUNT_MAX]:
        if why := why_not_a_name(name):
            yield f"{name[:80]!r} cannot be an input: {why}. Give it another name."
        elif _FORBIDDEN.search(value):
            yield f"The input {name} holds a NUL or bytes that are no UTF-8: take them out."
    size = sum(
        len(name.encode(errors="replace")) + len(value.encode(errors="replace")) for name, value in given.items()
    )
    if size > INPUTS_BYTES_MAX:
        yield f"The inputs have {size:,} bytes; the limit is {INPUTS_BYTES_MAX:,}."


def wrong_values(declared: Iterable[DeclaredInput], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The name of each input whose given value does not fit its declaration, with a sentence."""
    for each in declared:
        if each.name in given and (why := why_not_a_value(each, given[each.name])):
            yield each.name, f"the input {each.name} cannot be {given[each.name][:80]!r}: {why}"


def missing_inputs(declared: Iterable[DeclaredInput], given: Mapping[str, str]) -> list[DeclaredInput]:
    """The inputs that need a value and have none."""
    return [each for each in declared if each.required and each.default is None and not given.get(each.name)]


def undeclared_inputs(known: Iterable[str], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each given input that is not among the known names: a sentence, and what to do."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            few = f"this pipeline declares {', '.join(names)}" if names else "this pipeline declares none"
            hint = f"did you mean {near[0]}?" if near else f"{few}; declare it under 'inputs', or leave it out"
            yield f"the input {name[:80]} is not declared", hint


def values_of(declared: Iterable[DeclaredInput], given: Mapping[str, str]) -> dict[str, str]:
    """The value of each declared input: what was given, else its default."""
    found = {each.name: given.get(each.name, each.default) for each in declared}
    return {name: value for name, value in found.items() if value is not None}
