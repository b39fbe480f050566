"""The key ``cache`` of a step."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Items, Text, Texts
from pipelines.model.json_types import SCALAR, Also, OneOrMany
from pipelines.syntax.nodes import ScalarNode


class Cache(PipelineModel):
    """Folders that are kept between runs. A tool's name, or a path, may stand alone: as the only one of ``paths``."""

    wanted: ClassVar[str] = "a tool's name, a path, or {key: ..., paths: ..., restore: ...},"
    remedy: ClassVar[str] = "write for example cache: pip"

    key: Text = ""
    paths: Texts = Field(min_length=1)
    restore: Texts = ()


def _short(value: object) -> object:
    return {"paths": value} if isinstance(value, ScalarNode) else value


CachesField = Annotated[tuple[Annotated[Cache, Before(_short), Also(SCALAR)], ...], Items, OneOrMany()]
"""A list of tools' names, paths and maps, or one of them."""
