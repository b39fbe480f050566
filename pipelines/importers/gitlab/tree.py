"""The jobs of a file of GitLab CI, with its includes, ``extends`` and ``!reference`` put in."""

from collections.abc import Callable
from functools import partial

from pipelines.importers.keys import entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.parser.decoding import decode
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, TaggedList
from pipelines.syntax.yaml import NODES_COUNT_MAX, Mark, parse_documents

INCLUDED_FILES_COUNT_MAX = 50
EXTENDS_LEVELS_MAX = 10
_ABOUT_OTHERS = {
    "project": "a file of another project",
    "remote": "a file from the network",
    "component": "a component",
    "template": "a template of GitLab",
}

Read = Callable[[str], bytes | None]


def merged(base: Node | None, over: Node) -> Node:
    """``over`` on top of ``base``: maps key by key, all else as a whole."""
    if not isinstance(base, MapNode) or not isinstance(over, MapNode):
        return over
    entries = {key.text: (key, value) for key, value in base.entries}
    for key, value in over.entries:
        known = entries.get(key.text)
        entries[key.text] = (key, merged(known[1] if known else None, value))
    return over.with_entries(list(entries.values()))


class Tree:
    """The whole configuration: the file and what it includes."""

    def __init__(self, remarks: Remarks, read: Read) -> None:
        self.remarks, self._read = remarks, read
        self._files = 0
        self._nodes = 0

    def load(self, text: str) -> MapNode | None:
        """The configuration of a file; None where ``remarks`` says why."""
        documents = parse_documents(text, self.remarks.diagnostics)
        return self._with_includes(documents)

    def _with_includes(self, documents: list[Node]) -> MapNode | None:
        maps = [each for each in documents if isinstance(each, MapNode) and "spec" not in each.by_key]
        if not maps:
            return None
        root = maps[-1]
        base: Node | None = None
        for item in items_of(root.by_key.get("include")):
            if (found := self._included(item)) is not None:
                base = merged(base, found)
        whole = merged(base, root)
        return whole if isinstance(whole, MapNode) else root

    def _included(self, item: Node) -> MapNode | None:
        name = text_of(item) or (text_of(item.by_key.get("local")) if isinstance(item, MapNode) else "")
        if name.startswith(("http:", "https:")) or not name:
            kinds = item.by_key if isinstance(item, MapNode) else {"remote": item}
            kind = next((kind for kind in _ABOUT_OTHERS if kind in kinds), "remote")
            say = self.remarks.warning if kind == "template" else self.remarks.error
            say(item.place, f"'include' of {_ABOUT_OTHERS[kind]} is left out", "put what it has into this file")
            return None
        self._files += 1
        if self._files > INCLUDED_FILES_COUNT_MAX:
            self.remarks.error(
                item.place, f"more than {INCLUDED_FILES_COUNT_MAX} files are included; this one is left out"
            )
            return None
        data = self._read(name.lstrip("/"))
        if data is None:
            self.remarks.error(item.place, f"the file '{name}' cannot be read; it is left out")
            return None
        found = Diagnostics(name)
        source = decode(data, found)
        documents = parse_documents(source.text, found, partial(_place_in, name)) if source else []
        for each in found.problems:
            self.remarks.error(Place(each.line, each.column, name), each.message, each.hint)
        return self._with_includes(documents)

    def job(self, jobs: MapNode, name: str, level: int = 0) -> MapNode | None:
        """A job with what it extends."""
        node = jobs.by_key.get(name)
        if not isinstance(node, MapNode):
            return None
        base: Node | None = None
        for parent in texts_of(node.by_key.get("extends")):
            place = node.key_place("extends")
            found = self.job(jobs, parent, level + 1) if level < EXTENDS_LEVELS_MAX else None
            if found is None:
                self.remarks.error(
                    place, f"'{parent}', which '{name}' extends, is not there, or extends too many others"
                )
            else:
                base = merged(base, found)
        whole = merged(base, node)
        return whole if isinstance(whole, MapNode) else node

    def resolved(self, node: Node, root: MapNode, level: int = 0) -> Node:
        """The node with each ``!reference`` replaced by what it names."""
        self._nodes += 1
        if level > EXTENDS_LEVELS_MAX * 2 or self._nodes > NODES_COUNT_MAX:
            self.remarks.error(node.place, "there are too many '!reference' in each other")
            return ScalarNode(node.place, "", plain=True)
        if isinstance(node, TaggedList):
            return self._reference(node, root, level)
        if isinstance(node, ListNode):
            items = tuple(self.resolved(item, root, level + 1) for item in node.items)
            return ListNode(node.place, items, node.size, node.height)
        if isinstance(node, MapNode):
            return node.with_entries([(key, self.resolved(value, root, level + 1)) for key, value in node.entries])
        return node

    def _reference(self, node: TaggedList, root: MapNode, level: int) -> Node:
        found: Node | None = root
        names = texts_of(ListNode(node.place, node.items))
        for number, name in enumerate(names):
            if number == 0:
                found = self.job(root, name)
            else:
                found = found.by_key.get(name) if isinstance(found, MapNode) else None
        if found is None or node.tag != "!reference" or not names:
            self.remarks.error(node.place, f"{node.tag} [{', '.join(names)}] names nothing; it is left out")
            return ScalarNode(node.place, "", plain=True)
        return self.resolved(found, root, level + 1)


def _place_in(name: str, mark: Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1, name)


def jobs_of(root: MapNode) -> list[str]:
    """The names of the jobs that run: those that no dot hides."""
    return [
        key.text
        for key, value in entries_of(root)
        if isinstance(value, MapNode) and not key.text.startswith(".") and key.text not in GLOBAL
    ]


GLOBAL = frozenset(
    {"stages", "variables", "include", "default", "workflow", "image", "services", "before_script", "after_script"}
    | {"cache", "spec", "types"}
)
"""Keys of the file that are no jobs."""
