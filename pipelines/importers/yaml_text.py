"""Writes readable YAML with comments: the values of an imported pipeline file as its text."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.syntax.nodes import core_value

_DOLLARS = re.compile(r"\$+(?=\{)|\${2,}")
_BACKSLASHES = re.compile(r"\\+(?=/)|\\{2,}")
_PLAIN = re.compile(r"(?![-?:](?:\s|$))[^\s!&*{}\[\],#|>@`\"'%][^\0-\x1f\x7f-\x9f\u2028\u2029]*(?<![\s:])")
_NOT_PLAIN = re.compile(r":\s|\s#")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_NOT_SINGLE_LINE = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_NOT_IN_BLOCK = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_BOOLEANS = frozenset({"y", "n", "yes", "no", "on", "off"})
_FLOW_CHARACTERS_MAX = 60


class Raw(str):
    """A text in the language of pipeline files: its ``${NAME}`` are references, ``$$`` stands for ``$``."""

    __slots__ = ()


class Commented(NamedTuple):
    """A value with comments in the lines above it."""

    comments: tuple[str, ...]
    value: "Value"


Value = str | bool | int | list["Value"] | dict[str, "Value"] | Commented
"""What a file holds. A ``str`` that is no ``Raw`` is written so that it means exactly itself."""


def literal(text: str) -> Raw:
    """The text, escaped: nothing in it is a reference."""
    doubled = _DOLLARS.sub(lambda found: found[0] * 2, text)
    return Raw(_BACKSLASHES.sub(lambda found: found[0] * 2, doubled))


def raw(text: str) -> Raw:
    """The text in the language of pipeline files."""
    return text if isinstance(text, Raw) else literal(text)


def yaml_text(value: Mapping[str, Value], head: tuple[str, ...] = ()) -> str:
    """The text of a file, with ``head`` as comments at its beginning."""
    lines = [*(_comment(line) for line in head)]
    for key, item in value.items():
        if lines and isinstance(_plain_value(item), dict | list):
            lines.append("")
        lines += _entry(f"{_key(key)}:", item, "")
    return "\n".join(lines) + "\n"


def _plain_value(value: Value) -> Value:
    return value.value if isinstance(value, Commented) else value


def _comment(text: str) -> str:
    return f"# {literal(' '.join(text.split()))}".rstrip()


def _key(text: str) -> str:
    return _scalar(raw(text)) if "\n" not in text else _double_quoted(raw(text))


def _entry(start: str, value: Value, indent: str) -> Iterator[str]:
    """The lines of a key or a ``-`` with its value."""
    if isinstance(value, Commented):
        yield from (indent + _comment(line) for line in value.comments)
        value = value.value
    inner = indent + "  "
    if isinstance(value, dict) and value:
        if start == "-":
            yield from _first_joined(value, indent)
            return
        yield indent + start
        for key, item in value.items():
            yield from _entry(f"{_key(key)}:", item, inner)
    elif isinstance(value, list) and value and _flow(value) is None:
        yield indent + start
        for item in value:
            yield from _entry("-", item, inner)
    else:
        yield from _leaf(start, value, indent)


def _first_joined(value: dict[str, Value], indent: str) -> Iterator[str]:
    """A map as the item of a list: its first key stands behind the ``-``; comments of that key stand above."""
    first = True
    for key, item in value.items():
        if first and isinstance(item, Commented):
            yield from (indent + _comment(line) for line in item.comments)
            item = item.value  # noqa: PLW2901 - its comments are written
        for number, line in enumerate(_entry(f"{_key(key)}:", item, indent + "  ")):
            yield f"{indent}- {line[len(indent) + 2 :]}" if first and number == 0 else line
        first = False


def _leaf(start: str, value: Value, indent: str) -> Iterator[str]:
    match value:
        case bool():
            yield f"{indent}{start} {'true' if value else 'false'}"
        case int():
            yield f"{indent}{start} {value}"
        case str():
            yield from _text(start, raw(value), indent)
        case list():
            yield f"{indent}{start} {_flow(value) or '[]'}"
        case _:
            yield f"{indent}{start} {{}}"


def _text(start: str, text: Raw, indent: str) -> Iterator[str]:
    if "\n" not in text.rstrip("\n") or text[:1] in " \t\n" or _NOT_IN_BLOCK.search(text):
        yield f"{indent}{start} {_scalar(text)}"
        return
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    yield f"{indent}{start} |{'-' if not ends else '' if ends == 1 else '+'}"
    lines = text[:-1] if ends else text
    yield from (f"{indent}  {line}" if line else "" for line in lines.split("\n"))


def _scalar(text: Raw) -> str:
    if _NOT_SINGLE_LINE.search(text):
        return _double_quoted(text)
    is_text = isinstance(core_value(text), str) and text.lower() not in _BOOLEANS
    if is_text and _PLAIN.fullmatch(text) and not _NOT_PLAIN.search(text) and text != "<<":
        return str(text)
    return "'" + text.replace("'", "''") + "'"


def _double_quoted(text: Raw) -> str:
    """In double quotes, where the text has no ``\\\\`` or ``\\/``: such pairs lose a backslash before YAML is read."""
    single = re.sub(r"\\([\\/])", r"\1", text)
    return '"' + "".join(_escaped(character) for character in single) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in {'"', "\\"} or code < 0x20 or 0x7F <= code < 0xA0:  # noqa: PLR2004 - the control characters
        return f"\\x{code:02X}"
    if code in {0x2028, 0x2029, 0xFEFF} or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - ends of lines, halves
        return f"\\u{code:04X}"
    return character


def _flow(value: list[Value]) -> str | None:
    """A short list of words on one line."""
    words = [item for item in value if isinstance(item, str) and _WORD.fullmatch(item) and _scalar(raw(item)) == item]
    line = f"[{', '.join(words)}]"
    return line if len(words) == len(value) and len(line) <= _FLOW_CHARACTERS_MAX else None
