"""The key ``resources`` of a step or a service."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Whole, fail
from pipelines.model.json_types import VARIABLE, Written
from pipelines.step_options import resources
from pipelines.step_options.resources import (
    CPUS_COUNT_MAX,
    CPUS_MIN,
    MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN,
    PIDS_COUNT_MAX,
)
from pipelines.syntax.nodes import Node, ScalarNode, kind_name

_SIZE = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,3}))?[ ]?(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE_HINT = "write for example 512m or 2g"
_CPUS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")
_CPUS_HINT = "write for example 0.5 or 2"


def _shown(node: Node) -> str:
    return f"'{node.text}'" if isinstance(node, ScalarNode) and not node.is_null else kind_name(node)


def _memory(value: Node) -> int:
    found = _SIZE.fullmatch(value.text.strip()) if isinstance(value, ScalarNode) else None
    if found is None:
        return fail(f"an amount of memory is wanted here, not {_shown(value)}", _SIZE_HINT)
    unit = _UNITS[(found[3] or "").lower()]
    size: int = int(found[1]) * unit + int(found[2] or 0) * unit // 10 ** len(found[2] or "")
    if size < MEMORY_BYTES_MIN:
        fail(f"a container needs at least {resources.shown_bytes(MEMORY_BYTES_MIN)} of memory", _SIZE_HINT)
    if size > MEMORY_BYTES_MAX:
        fail(f"a container has at most {MEMORY_BYTES_MAX // 1024**4} TiB of memory", _SIZE_HINT)
    return size


def _cpus(value: Node) -> float:
    if not isinstance(value, ScalarNode) or not _CPUS.fullmatch(value.text):
        return fail(f"a number of processors is wanted here, not {_shown(value)}", _CPUS_HINT)
    if not CPUS_MIN <= (number := float(value.text)) <= CPUS_COUNT_MAX:
        fail(f"a container has between {CPUS_MIN} and {CPUS_COUNT_MAX} processors", _CPUS_HINT)
    return number


def _pids(value: int) -> int:
    if not 0 < value <= PIDS_COUNT_MAX:
        fail(f"a container has between 1 and {PIDS_COUNT_MAX} processes", "write for example 200")
    return value


Memory = Annotated[
    int,
    Before(_memory),
    Written(
        {
            "anyOf": [
                {"type": "integer", "minimum": MEMORY_BYTES_MIN},
                {
                    "type": "string",
                    "pattern": rf"^[0-9]+(\.[0-9]+)? ?([kKmMgGtT]([iI]?[bB])?|[bB])?$|{VARIABLE}",
                    "examples": ["512m"],
                },
            ]
        }
    ),
]
"""An amount of memory as Compose writes it, such as ``512m``; units are powers of 1024."""

Cpus = Annotated[
    float,
    Before(_cpus),
    Written(
        {
            "anyOf": [
                {"type": "number", "minimum": CPUS_MIN},
                {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?$|{VARIABLE}"},
            ]
        }
    ),
]
"""A number of processors, such as ``1.5``."""


class Resources(PipelineModel):
    """How much a container may have, within what the server allows."""

    wanted: ClassVar[str] = "a map with 'memory', 'cpus' or 'pids'"
    remedy: ClassVar[str] = "write for example resources: {memory: 512m, cpus: 1.5, pids: 200}"

    memory: Memory | None = None
    cpus: Cpus | None = None
    pids: Annotated[Whole, AfterValidator(_pids)] | None = None

    def planned(self) -> resources.Resources:
        """The same in a plan."""
        return resources.Resources(memory_bytes=self.memory, cpus=self.cpus, pids=self.pids)
