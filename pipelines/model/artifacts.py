"""What a step keeps of its files, and what a workflow takes of those that others kept."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Text, Texts, fail, text_of
from pipelines.model.json_types import VARIABLE, Written
from pipelines.syntax.nodes import ListNode, Node, ScalarNode, kind_name

LIFETIME_DAYS_MAX = 3650
_LIFETIME = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?")
_LIFETIME_HINT = "write for example 12h, 7d or 1d12h"
_DAY_S = 86_400

KeptWhen = Literal["success", "failure", "always"]


def _lifetime(value: Node) -> int:
    text = value.text if isinstance(value, ScalarNode) else ""
    found = _LIFETIME.fullmatch(text)
    if found is None or not any(found.groups()):
        shown = f"'{text}'" if text else kind_name(value)
        fail(f"a number of days, hours or minutes is wanted here, not {shown}", _LIFETIME_HINT)
    days, hours, minutes = (int(part or 0) for part in found.groups())
    seconds = days * _DAY_S + hours * 3600 + minutes * 60
    if not 0 < seconds <= LIFETIME_DAYS_MAX * _DAY_S:
        fail(f"artifacts are kept for more than nothing and at most {LIFETIME_DAYS_MAX} days", _LIFETIME_HINT)
    return seconds


Lifetime = Annotated[
    int,
    Before(_lifetime),
    Written(
        {"type": "string", "pattern": rf"^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?$|{VARIABLE}", "examples": ["7d"]},
    ),
]
"""How long something is kept, such as ``7d`` or ``12h``, in seconds."""


def _kept_when(value: object) -> object:
    word = text_of(value)
    if isinstance(word, str) and word not in {"success", "failure", "always"}:
        fail(f"'{word}' is not a valid value", "the values are success, failure and always")
    return word


class Artifacts(PipelineModel):
    """Files that are kept with the run when the step has ended."""

    wanted: ClassVar[str] = "a pattern, a list of patterns, or a map with 'paths'"
    remedy: ClassVar[str] = "write for example artifacts: dist/**"

    paths: Texts = Field(min_length=1)
    exclude: Texts = ()
    expire: Lifetime | None = None
    when: Annotated[KeptWhen, Before(_kept_when)] = "success"
    name: Text = ""


def paths_alone(value: object) -> object:
    """Patterns without a map are its ``paths``."""
    return {"paths": value} if isinstance(value, ScalarNode | ListNode) else value


class RestoredArtifacts(PipelineModel):
    """From which of the workflows that this one depends on it gets artifacts."""

    wanted: ClassVar[str] = "a map with 'from'"
    remedy: ClassVar[str] = "write for example artifacts: {from: [build]}"

    from_: Texts = Field(alias="from")
