"""Parses YAML text to nodes, with limits on depth, size and aliases.

It uses the events of PyYAML's parser, which does not recurse, and not its ``compose``, which recurses in C and crashes
the interpreter on text such as ``[[[[...``.
"""

import re
from collections.abc import Callable, Iterator
from typing import Never, Protocol, TypeVar

import yaml

from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, TaggedList, kind_name
from pipelines.syntax.shell_text import ShellText

TEXT_BYTES_MAX = 512 * 1024
DEPTH_LEVELS_MAX = 40
NODES_COUNT_MAX = 50_000
ALIASES_COUNT_MAX = 1_000


_NO_SYSTEM_TAKES = re.compile("[\0\ud800-\udfff]")
"""NUL, which ends every text of an operating system, and halves of characters. YAML has escapes for both."""
_SIMPLER = "split the pipeline into several files, or make it simpler"


Parsed = TypeVar("Parsed")


class Mark(Protocol):
    """A position in a text, as the parser reports it. All numbers count from 0; ``index`` counts characters."""

    index: int
    line: int
    column: int


Locate = Callable[[Mark], Place]
Scalars = Callable[[str], tuple[str, ShellText | None]]
"""Finishes a scalar: returns its text, and its text as part of a shell script if the two differ."""


def locate_directly(mark: Mark) -> Place:
    """The place of a mark in a text without substitutions."""
    return Place(mark.line + 1, mark.column + 1)


def as_written(text: str) -> tuple[str, ShellText | None]:
    """The scalar's text, unchanged."""
    return text, None


class _StopError(Exception):
    """Parsing stops; the diagnostics have the error."""


def parse_yaml(
    text: str, diagnostics: Diagnostics, locate: Locate = locate_directly, finish: Scalars = as_written
) -> Node | None:
    """The first document of ``text``. None if there is none, or if ``diagnostics`` says why it cannot be parsed."""
    builder = _Builder(diagnostics, locate, finish)
    return _reported(diagnostics, builder, lambda: builder.document(yaml.parse(text, Loader=yaml.CSafeLoader)))


def parse_documents(text: str, diagnostics: Diagnostics, locate: Locate = locate_directly) -> list[Node]:
    """All documents of ``text``, with the limits of one. Empty if ``diagnostics`` says why they cannot be parsed."""
    builder = _Builder(diagnostics, locate, as_written)
    return _reported(diagnostics, builder, lambda: builder.documents(yaml.parse(text, Loader=yaml.CSafeLoader))) or []


def _reported(diagnostics: Diagnostics, builder: "_Builder", parse: Callable[[], Parsed]) -> Parsed | None:
    try:
        return parse()
    except yaml.MarkedYAMLError as error:
        if "quoted scalar" in str(error.context) and error.context_mark and "end of stream" in str(error.problem):
            place = builder.place(error.context_mark)
            diagnostics.error(place, "this is not YAML: the quote that opens here is not closed", "close it")
            return None
        place = builder.place(error.problem_mark or error.context_mark)
        diagnostics.error(place, f"this is not YAML: {error.problem or error.context}", _yaml_hint(str(error.problem)))
    except yaml.YAMLError as error:
        diagnostics.error(WHOLE_FILE, f"this is not YAML: {error}")
    except _StopError:
        pass
    return None


_YAML_HINTS = {
    "expected alphabetic or numeric character": "put a text that begins with * or & in quotes: '*'",
    "mapping values are not allowed": "quote the text if a ': ' belongs to it, or look at the indentation",
    "found a tab character": "indent with spaces, not tabs",
    "did not find expected node content": "a value is missing here, or a bracket before it is not closed",
    "found unknown escape character": "write the backslash twice, or use single quotes",
    "cannot start any token": "indent with spaces, not tabs, and quote text that starts with @ ` % or a tab",
    "did not find expected key": "look at the indentation of this line and of the one above, and at the quotes",
    "did not find expected '-' indicator": "look at the indentation: this line is neither in the list nor behind it",
    "could not find expected ':'": "a key needs a ':' behind it; text of several lines needs a '|'",
    "while scanning a quoted scalar": "a closing quote is missing",
    "unexpected end of stream": "a closing quote or bracket is missing",
}


def _yaml_hint(problem: str) -> str:
    return next((hint for part, hint in _YAML_HINTS.items() if part in problem), "")


class _Builder:
    def __init__(self, diagnostics: Diagnostics, locate: Locate, finish: Scalars) -> None:
        self.diagnostics, self.locate, self.finish = diagnostics, locate, finish
        self.anchors: dict[str, Node] = {}
        self.nodes, self.aliases = 0, 0

    def place(self, mark: Mark | None) -> Place:
        return self.locate(mark) if mark else WHOLE_FILE

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self.diagnostics.warning(
                    self.place(event.start_mark),
                    "only the first YAML document of a file counts; this one is ignored",
                    "give each workflow a file of its own, in the folder .headway/",
                )
                return root
            if isinstance(event, yaml.NodeEvent):
                root = self.node(event, events, 0)
        return root

    def documents(self, events: Iterator[yaml.Event]) -> list[Node]:
        found: list[Node] = []
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                found.append(self.node(event, events, 0))
                self.anchors = {}
        return found

    def node(self, event: yaml.NodeEvent, events: Iterator[yaml.Event], depth: int, *, in_list: bool = False) -> Node:
        place = self.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, place, depth)
        if depth > DEPTH_LEVELS_MAX:
            self.stop(place, f"this is nested deeper than {DEPTH_LEVELS_MAX} levels")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            self.count(1, place)
            node = self.scalar(event, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(events, place, depth)
            if event.tag and event.tag.startswith("!") and event.tag != "!":
                node = TaggedList(node.place, node.items, node.size, node.height, event.tag)
        else:
            node = self.mapping(events, place, depth, in_list=in_list)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> ScalarNode:
        text, shell = self.finish(event.value)
        if bad := _NO_SYSTEM_TAKES.search(text):
            message = f"the character U+{ord(bad[0]):04X} cannot stand in a text of a pipeline file"
            self.diagnostics.error(place, message, "leave it out: no program can be given it")
            text, shell = _NO_SYSTEM_TAKES.sub("", text), None
        plain = event.implicit[0] and shell is None
        match (event.tag or "").removeprefix("tag:yaml.org,2002:"):
            case "" | "!":
                pass
            case "str" | "timestamp":
                plain = False
            case "int" | "float" | "bool" | "null" | "merge":
                plain = True
            case tag:
                self.diagnostics.error(place, f"the tag '{tag}' means nothing here", "remove it")
        return ScalarNode(place, text, plain, shell)

    def alias(self, event: yaml.AliasEvent, place: Place, depth: int) -> Node:
        self.aliases += 1
        if self.aliases > ALIASES_COUNT_MAX:
            self.stop(place, f"there are more than {ALIASES_COUNT_MAX} aliases in this file")
        node = self.anchors.get(event.anchor or "")
        if node is None:
            hint = did_you_mean(event.anchor or "", self.anchors) or "an anchor stands before its aliases"
            self.stop(place, f"the alias '*{event.anchor}' has no anchor '&{event.anchor}' before it", hint)
        if depth + node.height > DEPTH_LEVELS_MAX:
            self.stop(place, f"with this alias in place the file is nested deeper than {DEPTH_LEVELS_MAX} levels")
        self.count(node.size, place)
        return node

    def sequence(self, events: Iterator[yaml.Event], place: Place, depth: int) -> ListNode:
        self.count(1, place)
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = self.node(_node_event(event), events, depth + 1, in_list=True)
            items.extend(item.items if isinstance(item, _Splice) else [item])
        return ListNode(place, tuple(items), 1 + sum(item.size for item in items), _height(items))

    def mapping(self, events: Iterator[yaml.Event], place: Place, depth: int, *, in_list: bool) -> Node:
        self.count(1, place)
        pairs: list[tuple[ScalarNode, Node]] = []
        aliased = False
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self.node(_node_event(event), events, depth + 1)
            value_event = _node_event(next(events))
            value = self.node(value_event, events, depth + 1)
            aliased = isinstance(value_event, yaml.AliasEvent)
            if isinstance(key, ScalarNode):
                pairs.append((key, value))
            else:
                self.diagnostics.error(key.place, "a key must be a single value", "write a text in front of the ':'")
        alone = in_list and len(pairs) == 1 and _is_merge(pairs[0][0])
        if alone and (lists := _spliced(pairs[0][1], aliased=aliased)) is not None:
            return _Splice(place, tuple(lists), 1 + sum(item.size for item in lists), _height(lists))
        entries = self.merged(pairs)
        values = [value for _, value in entries]
        return MapNode(place, tuple(entries), 1 + len(entries) + sum(value.size for value in values), _height(values))

    def merged(self, pairs: list[tuple[ScalarNode, Node]]) -> list[tuple[ScalarNode, Node]]:
        """The pairs with merges applied: keys written here win, then those of the earlier of several merged maps."""
        written: dict[str, ScalarNode] = {}
        for key, _ in pairs:
            if _is_merge(key):
                continue
            if key.text in written:
                first = written[key.text].place
                self.diagnostics.error(
                    key.place, f"the key '{key.text}' is here twice", f"the first is on line {first.line}"
                )
            written.setdefault(key.text, key)
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in pairs:
            if not _is_merge(key):
                entries.setdefault(key.text, (key, value))
                continue
            for name, pair in self.merge_source(key, value):
                if name not in written:
                    entries.setdefault(name, pair)
        return list(entries.values())

    def merge_source(self, merge: ScalarNode, value: Node) -> Iterator[tuple[str, tuple[ScalarNode, Node]]]:
        hint = "put the anchor at a map"
        sources = value.items if isinstance(value, ListNode) else (value,)
        for source in sources:
            if isinstance(source, MapNode):
                yield from ((key.text, (key, child)) for key, child in source.entries)
            else:
                self.diagnostics.error(
                    merge.place, f"'<<' merges a map or a list of maps, not {kind_name(source)}", hint
                )

    def count(self, nodes: int, place: Place) -> None:
        self.nodes += nodes
        if self.nodes > NODES_COUNT_MAX:
            self.stop(place, f"this file has more than {NODES_COUNT_MAX} values, its aliases counted in full")

    def stop(self, place: Place, message: str, hint: str = _SIMPLER) -> Never:
        self.diagnostics.error(place, message, hint)
        raise _StopError


class _Splice(ListNode):
    """A list item ``- <<: *list``: the items of that list take its place."""


def _is_merge(key: ScalarNode) -> bool:
    return key.plain and key.text == "<<"


def _spliced(value: Node, *, aliased: bool) -> list[Node] | None:
    if not isinstance(value, ListNode):
        return None
    if aliased:
        return list(value.items)
    lists = [item for item in value.items if isinstance(item, ListNode)]
    return [node for item in lists for node in item.items] if lists and len(lists) == len(value.items) else None


def _height(children: list[Node]) -> int:
    return 1 + max((child.height for child in children), default=0)


def _node_event(event: yaml.Event) -> yaml.NodeEvent:
    if not isinstance(event, yaml.NodeEvent):  # pragma: no cover - the parser's grammar has nothing else here
        raise TypeError(event)
    return event
