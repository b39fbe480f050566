"""The key ``secrets`` of a step: secrets that it gets as files."""

import re
from typing import Annotated, ClassVar

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Items, Text, fail, text_of
from pipelines.model.json_types import VARIABLE, OneOrMany, Written
from pipelines.step_options.secret_files import DEFAULT_MODE

_MODE = re.compile(r"(?:0o?)?([0-7]{3})")
_MODE_HINT = "write for example 0400: its user alone may read it"


def _mode(value: object) -> object:
    text = text_of(value)
    found = _MODE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        fail(f"'{text}' is no mode of a file, which has three digits from 0 to 7", _MODE_HINT)
    return int(found[1], 8)


class SecretFile(PipelineModel):
    """A secret, and the file that has its value."""

    wanted: ClassVar[str] = "{source: NAME, file: PATH}"
    remedy: ClassVar[str] = "write it, or for a variable environment: {NAME: {from_secret: name}}"

    source: Text
    file: Text
    mode: Annotated[
        int,
        Before(_mode),
        Written({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": rf"^(0o?)?[0-7]{{3}}$|{VARIABLE}"}]}),
    ] = DEFAULT_MODE


SecretFiles = Annotated[tuple[SecretFile, ...], Items, OneOrMany()]
"""A list of secrets as files, or one."""
