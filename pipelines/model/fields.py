"""Field types of the models: they convert nodes to Python values, or report what is wrong.

Each function here runs before pydantic's own validation and converts a node. Any other value is passed on unchanged.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Never

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function

from pipelines.model.json_types import FLAG, PAIRS, SCALAR, SCALARS, VARIABLE, OneOrMany, Written
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, ScalarNode, kind_name
from pipelines.syntax.shell_text import ShellText


class Before:
    """The same as pydantic's BeforeValidator, but faster: it does not inspect the function's signature."""

    def __init__(self, function: Callable[[object], object]) -> None:
        self.function = function

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self.function, handler(source))


def fail(message: str, hint: str = "", place: Place | None = None) -> Never:
    """Rejects the value. ``place`` is for an error at another place than the field's own."""
    raise PydanticCustomError("headway", "{message}", {"message": message, "hint": hint, "place": place})


def text_of(value: object) -> object:
    """The text of a scalar, as in the file. Other nodes are rejected."""
    match value:
        case ScalarNode() if not value.is_null:
            return value.text
        case ScalarNode() | ListNode() | MapNode():
            return fail(f"a text is wanted here, not {kind_name(value)}", _text_hint(value))
        case _:
            return value


def _text_hint(node: object) -> str:
    if isinstance(node, MapNode):
        return "put it in quotes if a ': ' belongs to the text"
    return "write a single text" if isinstance(node, ListNode) else "write it behind the ':', or remove the line"


Text = Annotated[str, Before(text_of), Written(SCALAR)]
"""A text. A number keeps its text from the file: ``3.10`` stays ``3.10``."""

_YES = frozenset({"true", "yes", "on", "y"})
_NO = frozenset({"false", "no", "off", "n"})


def _flag(value: object) -> object:
    if not isinstance(value, ScalarNode | ListNode | MapNode):
        return value
    word = value.text.lower() if isinstance(value, ScalarNode) else ""
    if word in _YES | _NO:
        return word in _YES
    return fail(f"true or false is wanted here, not {_shown(value)}", "write true, or remove it")


def _shown(node: ScalarNode | ListNode | MapNode) -> str:
    return f"'{node.text}'" if isinstance(node, ScalarNode) and not node.is_null else kind_name(node)


Flag = Annotated[
    bool,
    Before(_flag),
    Written({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"{FLAG}|{VARIABLE}"}]}),
]
"""True or false, also written yes and no."""


def _whole(value: object) -> object:
    if not isinstance(value, ScalarNode | ListNode | MapNode):
        return value
    if isinstance(value, ScalarNode) and re.fullmatch(r"[0-9]{1,9}", value.text):
        return int(value.text)
    return fail(f"a whole number is wanted here, not {_shown(value)}", "write digits and nothing else")


Whole = Annotated[
    int,
    Before(_whole),
    Written(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": rf"^[0-9]{{1,9}}$|{VARIABLE}"}]}
    ),
]
"""A whole number, 0 or more."""

_DURATION = re.compile(r"(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,9})s)?")
DURATION_SECONDS_MAX = 7 * 24 * 3600

TIME_HINT = "write for example 90s, 10m or 1h30m"


def is_time(text: str) -> bool:
    """Is this a time such as ``10m``, of any length?"""
    found = _DURATION.fullmatch(text)
    return found is not None and any(found.groups())


def _duration(value: object) -> object:
    if not isinstance(value, ScalarNode | ListNode | MapNode):
        return value
    found = _DURATION.fullmatch(value.text) if isinstance(value, ScalarNode) else None
    if found is None or not any(found.groups()):
        return fail(f"a time is wanted here, not {_shown(value)}", TIME_HINT)
    seconds = int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 + int(found["s"] or 0)
    if not 0 < seconds <= DURATION_SECONDS_MAX:
        return fail("a time must be more than nothing and at most a week (168h)", TIME_HINT)
    return seconds


Seconds = Annotated[
    int,
    Before(_duration),
    Written({"type": "string", "pattern": rf"^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?$|{VARIABLE}", "examples": ["10m"]}),
]
"""A time such as ``90s``, ``10m`` or ``1h30m``, in seconds."""


def _items(value: object) -> object:
    match value:
        case ListNode():
            return list(value.items)
        case ScalarNode() if value.is_null:
            return []
        case ScalarNode() | MapNode():
            return [value]
        case _:
            return value


Items = Before(_items)
"""A list. Anything else counts as a list of one."""

Texts = Annotated[tuple[Text, ...], Items, Written(SCALARS)]
"""A list of texts, or one."""


def _ip_address(value: object) -> object:
    text = text_of(value)
    if isinstance(text, str):
        try:
            ip_address(text.partition("%")[0])
        except ValueError:
            return fail(f"an IP address is wanted here, not {text!r}", "write the server's address, such as 10.0.0.53")
    return text


IpAddresses = Annotated[tuple[Annotated[str, Before(_ip_address), Written(SCALAR)], ...], Items, Written(SCALARS)]
"""A list of IPv4 or IPv6 addresses, or one. With an invalid address, Docker 20.10 starts the container without any."""


def _comma_items(value: object) -> object:
    nodes = _items(value)
    if not isinstance(nodes, list):
        return nodes
    items: list[object] = []
    for node in nodes:
        if isinstance(node, ScalarNode) and node.is_null:  # "- ${CI_COMMIT_TAG}" where there is no tag
            continue
        text = text_of(node)
        items += [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else [text]
    return items


CommaTexts = Annotated[tuple[Text, ...], Before(_comma_items), Written(SCALARS)]
"""A list of texts, or one text with commas."""


def _script(value: object) -> object:
    text = text_of(value)
    if isinstance(value, ScalarNode) and isinstance(text, str):
        return value.shell or ShellText(text, ())
    return ShellText(text, ()) if isinstance(text, str) else text


Script = Annotated[ShellText, Before(_script), Written(SCALAR)]
"""One entry of ``commands``."""

Scripts = Annotated[tuple[Script, ...], Items, OneOrMany()]
"""A list of commands, or one text."""


def fields_of(value: object) -> object:
    """The fields of a map, or of a list of ``K=V``."""
    match value:
        case MapNode():
            return value.by_key
        case ListNode():
            return dict(_pair(item) for item in value.items)
        case ScalarNode():
            return fail(f"a map is wanted here, not {kind_name(value)}", "write NAME: value pairs below it, indented")
        case _:
            return value


def _pair(item: object) -> tuple[str, str]:
    text = item.text if isinstance(item, ScalarNode) else ""
    name, equals, rest = text.partition("=")
    if not equals or not name:
        fail(
            "an item of this list must be NAME=value",
            "or write a map: NAME: value",
            place=item.place if isinstance(item, ScalarNode) else None,
        )
    return name, rest


@dataclass(frozen=True)
class FromSecret:
    """``{from_secret: name}``. Names are looked up in lower case."""

    name: str


def setting_of(value: object) -> object:
    """The value of a node of any shape: scalars typed as in YAML 1.2, secrets by name, at any depth."""
    match value:
        case ScalarNode():
            return value.value
        case ListNode():
            return [setting_of(item) for item in value.items]
        case MapNode() if "from_secret" in value.by_key:
            return _secret(value)
        case MapNode():
            return {name: setting_of(child) for name, child in value.by_key.items()}
        case _:
            return value


def environment_value_of(value: object) -> object:
    """As ``setting_of``, but a number keeps its text from the file: ``PYTHON: 3.10`` is not 3.1."""
    setting = setting_of(value)
    is_number = isinstance(setting, int | float) and not isinstance(setting, bool)
    return value.text if is_number and isinstance(value, ScalarNode) else setting


SECRET: dict[str, Any] = {
    "type": "object",
    "properties": {"from_secret": {"type": "string"}},
    "required": ["from_secret"],
    "additionalProperties": False,
}
Settings = Annotated[
    dict[str, Annotated[object, Before(setting_of)]],
    Before(fields_of),
    Written({"anyOf": [{"type": "object"}, PAIRS]}),
]
"""The ``settings`` of a plugin."""

Environment = Annotated[
    dict[str, Annotated[object, Before(environment_value_of)]],
    Before(fields_of),
    Written({"anyOf": [{"type": "object"}, {**PAIRS, "deprecated": True}]}),
]
"""The ``environment`` of a container."""


def _secret_or_text(value: object) -> object:
    return _secret(value) if isinstance(value, MapNode) and "from_secret" in value.by_key else text_of(value)


TextOrSecret = Annotated[str | FromSecret, Before(_secret_or_text), Written({"anyOf": [SCALAR, SECRET]})]
"""A text, or ``{from_secret: name}``."""


def _plain_text(value: object) -> object:
    if isinstance(value, MapNode) and "from_secret" in value.by_key:
        fail("a secret cannot stand here: build arguments can be read from the image", "use 'secrets' of the build")
    return text_of(value)


TextMap = Annotated[
    dict[str, Annotated[str, Before(_plain_text)]],
    Before(fields_of),
    Written({"anyOf": [{"type": "object", "additionalProperties": SCALAR}, PAIRS]}),
]
"""A map of texts, or a list of ``NAME=value``."""


def _secret(node: MapNode) -> FromSecret:
    name = node.by_key["from_secret"]
    if len(node.entries) > 1:
        others = ", ".join(f"'{key.text}'" for key, _ in node.entries if key.text != "from_secret")
        message = f"beside 'from_secret' nothing else can be given, but here is {others}"
        fail(message, "write {from_secret: name} and no more", place=node.place)
    if not isinstance(name, ScalarNode) or name.is_null or not name.text:
        fail("'from_secret' names a secret, as a text", "write from_secret: name", place=name.place)
    return FromSecret(name.text.lower())
