"""Reads the keys of a map, and remembers which were read: every other one gets a remark."""

from collections.abc import Iterator

from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name


def text_of(node: Node | None) -> str:
    """The text of a single value, else an empty text."""
    return node.text if isinstance(node, ScalarNode) and not node.is_null else ""


def items_of(node: Node | None) -> tuple[Node, ...]:
    """The items of a list; a single value or a map is a list of one."""
    if node is None or (isinstance(node, ScalarNode) and node.is_null):
        return ()
    return node.items if isinstance(node, ListNode) else (node,)


def texts_of(node: Node | None) -> list[str]:
    """The texts of a list or of a single value, lists in it spliced."""
    found: list[str] = []
    for item in items_of(node):
        found += texts_of(item) if isinstance(item, ListNode) else [text_of(item)] if text_of(item) else []
    return found


def entries_of(node: Node | None) -> tuple[tuple[ScalarNode, Node], ...]:
    """The entries of a map; of anything else none."""
    return node.entries if isinstance(node, MapNode) else ()


def value_of(node: Node, kind: type[str] = Raw) -> Value:
    """The node as a value to write; its texts are of ``kind``."""
    if isinstance(node, ScalarNode):
        value = node.value
        return value if isinstance(value, bool | int) else kind(node.text)
    if isinstance(node, ListNode):
        return [value_of(item, kind) for item in node.items]
    return {key.text: value_of(item, kind) for key, item in node.entries}


class Keys:
    """The keys of one map of the old file. ``where`` names it in remarks."""

    def __init__(self, node: Node | None, remarks: Remarks, where: str) -> None:
        self.remarks, self.where = remarks, where
        self.node = node if isinstance(node, MapNode) else None
        self._read: set[str] = set()
        if node is not None and self.node is None and not (isinstance(node, ScalarNode) and node.is_null):
            remarks.error(node.place, f"a map is wanted at {where}, not {kind_name(node)}; it is left out")

    def take(self, key: str) -> Node | None:
        """The value of a key, which counts as read from now on. None also where the key has no value."""
        self._read.add(key)
        value = self.node.by_key.get(key) if self.node else None
        return None if isinstance(value, ScalarNode) and value.is_null else value

    def text(self, key: str) -> str:
        """The text of a key that has a single value."""
        value = self.take(key)
        if value is not None and not isinstance(value, ScalarNode):
            self.remarks.error(value.place, f"'{key}' of {self.where} is not a single value; it is left out")
        return text_of(value)

    def place(self, key: str) -> Place:
        """Where the key stands."""
        return self.node.key_place(key) if self.node else Place(1, 1)

    def has(self, key: str) -> bool:
        """Is the key there?"""
        return self.node is not None and key in self.node.by_key

    def rest(self) -> Iterator[tuple[ScalarNode, Node]]:
        """The entries that were not read; they count as read from now on."""
        left = [(key, value) for key, value in entries_of(self.node) if key.text not in self._read]
        self._read.update(key.text for key, _ in left)
        yield from left

    def remark_rest(self) -> None:
        """A remark for each key that was not read."""
        for key, _ in self.rest():
            self.remarks.warning(key.place, f"'{key.text}' of {self.where} has no counterpart; it is left out")
