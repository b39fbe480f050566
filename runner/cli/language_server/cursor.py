"""Where in a pipeline file the cursor is, by indentation alone: what one is typing is often no YAML yet."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ITEM = "[]"
"""Stands in a path for an item of a list."""
LINES_COUNT_MAX = 10_000
LINE_CHARACTERS_MAX = 1_000

_KEY = r"(?P<quote>[\"']?)(?P<key>[^\s\"'#{}\[\],&*!|>][^\"'#{}\[\],]*?)(?P=quote)"
_LINE = re.compile(rf"(?P<dashes>\s*(?:-\s+)*)(?:{_KEY}\s*:(?:\s+(?P<value>.*))?$)?")
_COMMENT = re.compile(r"(?:^|\s)#")
_NO_VALUE = re.compile(r"\s*(?:[&!]\S*\s*)*(?:#.*)?")
_FLOW = re.compile(r"\"[^\"]*\"?|'[^']*'?|[{}\[\],]|:(?=\s|$)|[^\s\"'{}\[\],:]+(?::[^\s{}\[\],]+)*|\S")


class Cursor(NamedTuple):
    """A place: the keys that lead to it, what stands there up to the cursor, and the keys that are in the same map.

    ``is_value`` is true behind the ':' of the path's last key, which then is among them.
    """

    path: tuple[str, ...]
    word: str
    present: frozenset[str] = frozenset()
    is_value: bool = False


class _Line(NamedTuple):
    dashes: tuple[int, ...]
    column: int
    key: str
    value: str

    @property
    def first(self) -> int:
        return min((*self.dashes, self.column))


def _read(text: str) -> _Line:
    found = _LINE.match(text[:LINE_CHARACTERS_MAX])
    assert found is not None  # noqa: S101 - every part may be empty
    dashes = tuple(index for index, char in enumerate(found["dashes"]) if char == "-")
    return _Line(dashes, found.end("dashes"), found["key"] or "", found["value"] or "")


def cursor_at(lines: Sequence[str], line: int, column: int) -> Cursor | None:
    """The place of the cursor; None in comments, in texts of several lines, and where the indentation says nothing."""
    before = lines[line][:column]
    if _COMMENT.search(before) or len(before) > LINE_CHARACTERS_MAX:
        return None
    here = _read(before)
    parents = _parents(here, reversed(lines[max(0, line - LINES_COUNT_MAX) : line]))
    if parents is None:
        return None
    path = (*parents[0], here.key) if here.key else parents[0]
    word = here.value if here.key else before[here.column :]
    if word[:1] in {"{", "["}:
        return _in_flow(path, word)
    present = parents[1] | _below(here, lines[line + 1 : line + LINES_COUNT_MAX])
    return Cursor(path, word, present | {here.key} - {""}, is_value=bool(here.key))


def _parents(here: _Line, above: Iterator[str]) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """The keys above a line, and those that stand above it in the same map."""
    path: list[str] = [ITEM] * len(here.dashes)
    column, is_item, innermost = here.first, bool(here.dashes), not here.dashes
    present: set[str] = set()
    for each in _with_content(above):
        is_parent = bool(each.key) and (each.column <= column if is_item else each.column < column)
        if not is_parent and (is_item or each.column != column or not each.key):
            if each.first < column and not each.dashes:
                return None  # the second line of some text
            continue
        if is_parent:
            if not _NO_VALUE.fullmatch(each.value):
                return None
            path.append(each.key)
            innermost = False
        elif innermost:
            present.add(each.key)
        column, is_item = each.column, False
        for dash in reversed(each.dashes):
            path.append(ITEM)
            column, is_item, innermost = dash, True, False
    return tuple(reversed(path)), frozenset(present)


def _with_content(lines: Iterator[str]) -> Iterator[_Line]:
    """The lines of this document that are neither empty nor comments."""
    for text in lines:
        if text.startswith(("---", "%")):
            return
        if text.strip() and not text.lstrip().startswith("#"):
            yield _read(text)


def _below(here: _Line, lines: Sequence[str]) -> frozenset[str]:
    found = set()
    for each in _with_content(iter(lines)):
        if each.first < here.column:
            break
        if each.column == here.column and each.key:
            found.add(each.key)
    return frozenset(found)


def _in_flow(path: tuple[str, ...], text: str) -> Cursor:
    """The place at the end of a list or map in brackets."""
    open_: list[tuple[tuple[str, ...], set[str]]] = []
    here, keys, word = path, set[str](), ""
    for part in _FLOW.findall(text):
        match part:
            case "{":
                open_.append((here, keys))
                keys, word = set(), ""
            case "[":
                open_.append((here, keys))
                here, keys, word = (*here, ITEM), set(), ""
            case "}" | "]" if open_:
                (here, keys), word = open_.pop(), ""
            case ",":
                here, word = (here[:-1] if here[-1] in keys else here), ""
            case ":" if here[-1:] != (word,):
                keys.add(word)
                here, word = (*here, word), ""
            case _:
                word = part
    return Cursor(here, "" if text[-1:].isspace() else word, frozenset(keys), is_value=here[-1] in keys or not open_)
