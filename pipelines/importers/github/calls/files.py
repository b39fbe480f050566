"""Reads the files of the repository that a workflow calls: each once, and not too many."""

from collections.abc import Callable
from functools import partial
from posixpath import normpath
from typing import NamedTuple

from pipelines.importers.github.calls.replacing import Value
from pipelines.importers.keys import entries_of, text_of
from pipelines.importers.remarks import Remarks
from pipelines.parser.decoding import decode
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.nodes import MapNode, Node
from pipelines.syntax.yaml import Mark, parse_documents

CALLED_FILES_COUNT_MAX = 50
CALL_LEVELS_MAX = 10
CALLS_COUNT_MAX = 500
_ZEROS = {"boolean": "false", "number": "0"}
_TAKE_OVER = "put what it does into this file"

Read = Callable[[str], bytes | None]
"""Reads a file by its path in the repository; None if there is none."""


class Called(NamedTuple):
    """A file that is called: its path, the whole of it, and the calls that lead to it, itself included."""

    path: str
    root: MapNode
    stack: tuple[str, ...]


class CalledFiles:
    """The files that one imported file calls."""

    def __init__(self, remarks: Remarks, read: Read) -> None:
        self.remarks, self._read = remarks, read
        self._known: dict[str, MapNode | None] = {}
        self._files = self._calls = 0

    def workflow(self, uses: str, place: Place, stack: tuple[str, ...]) -> Called | None:
        """The workflow that a job calls; None where the remarks say why it is left out."""
        path = normpath(uses)
        return self._called((path,), f"the workflow {uses}", place, stack)

    def action(self, uses: str, place: Place, stack: tuple[str, ...]) -> Called | None:
        """The file of an action that a step uses; None where the remarks say why it is left out."""
        folder = normpath(uses)
        paths = tuple(normpath(f"{folder}/{name}") for name in ("action.yml", "action.yaml"))
        return self._called(paths, f"the action {uses}", place, stack)

    def _called(self, paths: tuple[str, ...], what: str, place: Place, stack: tuple[str, ...]) -> Called | None:
        self._calls += 1
        if paths[0].startswith(("../", "/")):
            return self._no_call(place, f"{what} is not in this repository")
        if self._calls > CALLS_COUNT_MAX:
            return self._no_call(place, f"{what} is one call more than {CALLS_COUNT_MAX}")
        if len(stack) == CALL_LEVELS_MAX:
            return self._no_call(place, f"{what} is more than {CALL_LEVELS_MAX} calls deep")
        if known := [path for path in paths if path in stack]:
            return self._no_call(place, f"{what} calls itself: {' calls '.join((*stack, known[0]))}")
        for path in paths:
            root = self._root(path, place)
            if root is not None:
                return Called(path, root, (*stack, path))
            if path in self._known:
                return None
        return self._no_call(place, f"{what} is not here: the file '{paths[0]}' cannot be read")

    def _no_call(self, place: Place, why: str) -> Called | None:
        self._without(place, why)
        return None

    def _without(self, place: Place, why: str) -> MapNode | None:
        self.remarks.error(place, f"{why}; it is left out", _TAKE_OVER)
        return None

    def _root(self, path: str, place: Place) -> MapNode | None:
        """The map that a file is. None if there is no file; if it is wrong, with a remark, and it counts as known."""
        if path in self._known:
            return self._known[path]
        data = self._read(path)
        if data is None:
            return None
        self._known[path] = None
        self._files += 1
        if self._files > CALLED_FILES_COUNT_MAX:
            return self._without(place, f"more than {CALLED_FILES_COUNT_MAX} files are called; '{path}' is one more")
        found = Diagnostics(path)
        source = decode(data, found)
        documents = parse_documents(source.text, found, partial(_place_in, path)) if source else []
        for each in found.problems:
            self.remarks.error(Place(each.line, each.column, path), each.message, each.hint)
        if documents and isinstance(documents[0], MapNode):
            self._known[path] = documents[0]
        elif not found.failed:
            self._without(place, f"'{path}' is no map")
        return self._known[path]


def arguments(declared: Node | None, given: Node | None, what: str, remarks: Remarks) -> dict[str, Value]:
    """The values of declared inputs, by their names in lower case: what ``given`` has, else their defaults."""
    left = {key.text.lower(): (key, value) for key, value in entries_of(given)}
    found: dict[str, Value] = {}
    for key, node in entries_of(declared):
        fields = node.by_key if isinstance(node, MapNode) else {}
        name, kind = key.text.lower(), text_of(fields.get("type"))
        _, value = left.pop(name, (key, None))
        if value is None and text_of(fields.get("required")) == "true" and not text_of(fields.get("default")):
            place = given.place if given else key.place
            remarks.warning(place, f"{what} needs the input '{key.text}', which is not given; it is empty")
        text = text_of(value or fields.get("default")) or _ZEROS.get(kind, "")
        found[name] = Value(text, is_text=kind not in _ZEROS)
        if value is not None and (error := found[name].mistake):
            remarks.error(value.place, f"the input '{key.text}' of {what} has {error}, which is not known here")
    for key, _ in left.values():
        remarks.warning(key.place, f"{what} has no input '{key.text}'; it is left out")
    return found


def _place_in(path: str, mark: Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1, path)
