"""Reports what is wrong in one Compose file, and reads values of it."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import assert_never

from pipelines.compose.interpolation import NOTHING, InterpolationError, Interpolator
from pipelines.compose.keys import EXTENSION
from pipelines.syntax.diagnostics import Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name

SHOWN_CHARACTERS_MAX = 80


def shown(text: str) -> str:
    """As much of a text as stands in a message."""
    return text[:SHOWN_CHARACTERS_MAX]


class Report:
    """The problems of one Compose file. ``failed`` says that there is an error among them."""

    def __init__(self, diagnostics: Diagnostics, interpolator: Interpolator) -> None:
        self._diagnostics = diagnostics
        self._interpolator = interpolator
        self.failed = False

    def error(self, place: Place, message: str, hint: str) -> None:
        """The project cannot run like this."""
        self.failed = True
        self._diagnostics.error(place, message, hint)

    def warning(self, place: Place, message: str, hint: str) -> None:
        """It runs, though perhaps not as its author expects."""
        self._diagnostics.warning(place, message, hint)

    def filled(self, node: Node) -> Node:
        """The node with its references filled in. Keys have none, as in Compose."""
        match node:
            case ScalarNode():
                return self.filled_text(node)
            case ListNode():
                items = tuple(self.filled(item) for item in node.items)
                return ListNode(node.place, items, node.size, node.height)
            case MapNode():
                return node.with_entries([(key, self.filled(value)) for key, value in node.entries])
            case _:
                assert_never(node)

    def filled_text(self, node: ScalarNode, further: Mapping[str, str] = NOTHING) -> ScalarNode:
        """The same for a text. ``further`` are values of variables that the step does not give."""
        if "$" not in node.text:
            return node
        before = len(self._interpolator.missing)
        try:
            text = self._interpolator.fill(node.text, further)
        except InterpolationError as error:
            self.error(node.place, str(error), error.hint)
            text = ""
        for name in list(self._interpolator.missing)[before:]:
            hint = f"write environment: {{{name}: VALUE}} at the step, or ${{{name}:-}} for an empty text"
            self.warning(node.place, f"the variable {name} is not set at the Compose step, and is empty", hint)
        return ScalarNode(node.place, text)

    def text(self, node: Node, what: str) -> str:
        """The text of a scalar, stripped of nothing. Empty after an error."""
        if isinstance(node, ScalarNode) and not node.is_null:
            return node.text
        self.error(node.place, f"{what} is a text, not {kind_name(node)}", "write a single text")
        return ""

    def flag(self, node: Node, what: str) -> bool:
        """True or false. False after an error."""
        word = node.text.lower() if isinstance(node, ScalarNode) else ""
        if word not in {"true", "false"}:
            self.error(node.place, f"{what} is true or false", "write true, or remove it")
        return word == "true"

    def words(self, node: Node, what: str) -> tuple[ScalarNode, ...]:
        """A list of texts. One text is a list of one."""
        if isinstance(node, ScalarNode):
            return () if node.is_null else (node,)
        if isinstance(node, ListNode) and all(isinstance(item, ScalarNode) for item in node.items):
            return tuple(item for item in node.items if isinstance(item, ScalarNode))
        self.error(node.place, f"{what} is a list of texts", "write one text a line, each behind '- '")
        return ()

    def command(self, node: Node, what: str) -> tuple[ScalarNode, ...]:
        """The words of a command: a list as it is, a text split as a shell would."""
        if isinstance(node, ScalarNode):
            try:
                return tuple(ScalarNode(node.place, word) for word in shlex.split(node.text))
            except ValueError as error:
                self.error(node.place, f"{what} cannot be split into words: {error}", "close the quote")
                return ()
        return tuple(ScalarNode(word.place, word.text) for word in self.words(node, what))

    def pairs(self, node: Node, what: str) -> Iterator[tuple[ScalarNode, ScalarNode | None]]:
        """The names and values of a map or of a list of ``NAME=value``; None where there is no value."""
        if isinstance(node, MapNode):
            for key, value in node.entries:
                if isinstance(value, ScalarNode):
                    yield key, None if value.is_null else value
                else:
                    self.error(value.place, f"{what} has texts as its values", "write NAME: value")
            return
        for item in self.words(node, what):
            name, equals, value_text = item.text.partition("=")
            yield ScalarNode(item.place, name), ScalarNode(item.place, value_text) if equals else None

    def fields(self, node: Node, what: str) -> Mapping[str, Node]:
        """The fields of a map; those without a value are left out. Empty after an error."""
        if isinstance(node, MapNode):
            return {name: value for name, value in node.by_key.items() if not _is_null(value)}
        if not _is_null(node):
            self.error(node.place, f"{what} is a map, not {kind_name(node)}", "write KEY: VALUE pairs below it")
        return {}

    def only(self, node: Node, known: Collection[str], what: str, hint: str = "") -> Mapping[str, Node]:
        """The fields of a map, each of which must be known; another is an error, unless it begins with ``x-``."""
        fields = self.fields(node, what)
        for key, value in node.entries if isinstance(node, MapNode) else ():
            if key.text in known or key.text.startswith(EXTENSION) or _is_null(value):
                continue
            self.error(
                key.place,
                f"'{shown(key.text)}' of {what} is not known here",
                hint or did_you_mean(key.text, known) or "remove it",
            )
        return {name: value for name, value in fields.items() if name in known}


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.is_null


_DURATION = re.compile(
    r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,6})(?:\.[0-9]{1,9})?s)?(?:[0-9]{1,6}ms)?(?:[0-9]{1,9}us)?"
)


def seconds_of(text: str) -> int | None:
    """A time of Compose, such as ``1m30s``, in whole seconds; None if it is none."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        return None
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + int(found[3] or 0)
