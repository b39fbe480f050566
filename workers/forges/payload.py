"""Strict reading of payloads: the types of their fields, and errors that name the wrong field."""

import json
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pipelines.commit_id import FULL_ID
from pipelines.trigger import TEXT_CHARS_MAX
from workers.forges.interface import BadPayloadError

REF_CHARS_MAX = 1_024
REF_BYTES_MAX = 2_000  # in UTF-8: names are in indexes, and PostgreSQL refuses entries above 2,700 bytes
_FORBIDDEN_IN_REFS = frozenset(" ~^:?*[\\\x7f") | {chr(code) for code in range(32)}


def clean_text(value: str) -> str:
    # PostgreSQL's text and the environment of a process cannot hold NUL.
    return value.replace("\0", "\ufffd")[:TEXT_CHARS_MAX]


def allowed_ref(value: str) -> str:
    """The name of a branch, a tag or a ref. Raises ValueError where git would not allow it."""
    if not 0 < len(value) <= REF_CHARS_MAX:
        raise ValueError(f"must have 1 to {REF_CHARS_MAX} characters")
    if len(value.encode("utf-8", "replace")) > REF_BYTES_MAX:
        raise ValueError(f"must have at most {REF_BYTES_MAX} bytes in UTF-8")
    parts = value.split("/")
    broken = ".." in value or "@{" in value or value.endswith(".") or not _FORBIDDEN_IN_REFS.isdisjoint(value)
    if broken or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        raise ValueError("is not a name that git allows")
    return value


def _full_ref(value: str) -> str:
    if not value.startswith("refs/"):
        raise ValueError("must be a full ref name such as refs/heads/main")
    return allowed_ref(value)


def _seconds(value: object) -> int:
    """Unix time of an ISO date; 0 where the forge sent something else, because nothing depends on it."""
    if isinstance(value, int):
        return value
    try:
        return int(datetime.fromisoformat(str(value)).timestamp())
    except ValueError:
        return 0


Text = Annotated[str, AfterValidator(clean_text)]
Maybe = Annotated[str, BeforeValidator(lambda value: "" if value is None else value), AfterValidator(clean_text)]
"""Text that forges also send as null."""
RefName = Annotated[str, AfterValidator(allowed_ref)]
FullRef = Annotated[str, AfterValidator(_full_ref)]
Sha = Annotated[str, StringConstraints(pattern=rf"^({FULL_ID})$")]
MaybeSha = Annotated[
    str,
    BeforeValidator(lambda value: value or ""),
    StringConstraints(pattern=rf"^({FULL_ID})?$"),
]
Moment = Annotated[int, BeforeValidator(_seconds)]


class Part(BaseModel):
    """The fields that Headway reads of one object in a payload. Forges may add others at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: object) -> object:
        """Null for what has a default is the default: forges send it for an account that is gone, or for no labels."""
        if not isinstance(sent, dict):
            return sent
        return {name: _kept(value) for name, value in sent.items() if value is not None or cls._needs(name)}

    @classmethod
    def _needs(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and field.is_required()


def _kept(value: object) -> object:
    return [item for item in value if item is not None] if isinstance(value, list) else value


Model = TypeVar("Model", bound=Part)


def _validated(model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] != "json_invalid":
            raise
        mended = _mended(body)
        if mended is None:
            raise
    return model.model_validate_json(mended)


def _mended(body: bytes) -> bytes | None:
    """The JSON without what strict parsers refuse and senders write all the same; None where it is no JSON.

    That is a byte order mark, bytes that are not UTF-8, control characters in a text, and half of a surrogate pair,
    which is left where a forge cuts a text. What is no character becomes U+FFFD.
    """
    try:
        found: Any = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
        text = json.dumps(found, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def read(model: type[Model], body: bytes) -> Model:
    """The payload, or BadPayloadError naming the first field that is missing or unusable."""
    try:
        return _validated(model, body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            sentence = "The body is not JSON. In the webhook's settings, choose the content type application/json."
            raise BadPayloadError("body", sentence)
        case "missing":
            raise BadPayloadError(field, f"The payload has no field {field}, which this event always has.")
        case "string_pattern_mismatch":
            raise BadPayloadError(field, f"The field {field} must be a commit id: 40 or 64 hex digits in lower case.")
        case _:
            said = first["msg"].removeprefix("Value error, ")
            raise BadPayloadError(field or "body", f"The field {field or 'body'} cannot be used: {said}.")
