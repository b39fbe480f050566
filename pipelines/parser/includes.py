"""Puts the steps and services of fragments into a workflow, in the place of the items of ``steps`` that include them.

It works on nodes, after YAML has been read: nothing in a fragment, and no value of an input, can change what the file
around it means.
"""

from typing import Never

from pipelines.interpolation.operators import TooLongError
from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import Variables, render, render_placeholders
from pipelines.model.fragment import FRAGMENT_KEYS, INCLUDE_KEYS
from pipelines.parser.broken_by_value import values_at
from pipelines.parser.decoding import decode
from pipelines.parser.fragment_addresses import ADDRESS_KEYS, OTHER_REPOSITORY_KEYS, Address, address_of, wrong_address
from pipelines.parser.fragment_inputs import Given, declared_by, given_by
from pipelines.parser.fragments import Fragments, include_items
from pipelines.parser.legacy_syntax import named_list
from pipelines.parser.unknown_variables import warn_of_unknown_names
from pipelines.syntax.diagnostics import Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name
from pipelines.syntax.yaml import NODES_COUNT_MAX, parse_yaml

LEVELS_MAX = 5  # of fragments that include fragments
INCLUDES_COUNT_MAX = 100  # of one pipeline file, those in its fragments counted
_SIMPLER = "include fewer fragments, or smaller ones"
_OTHER = "write include: {repo: https://git.example.com/team/ci.git, sha: ID-OF-A-COMMIT, path: test.yml}"

_Parts = tuple[list[Node], list[Node]]
"""Steps and services."""


class _StopError(Exception):
    """A limit is reached; the diagnostics have the error."""


class _NotIncludedError(Exception):
    """One fragment cannot be included; the diagnostics have the error."""


class Includer:
    """Includes the fragments of one pipeline file, read with the variables of one run.

    ``characters_max`` is for all texts that are put in. ``values`` say, for later problems, what stands at a place.
    """

    def __init__(
        self, fragments: Fragments, variables: Variables, diagnostics: Diagnostics, characters_max: int
    ) -> None:
        self._fragments = fragments
        self._variables = variables
        self._diagnostics = diagnostics
        self._characters_max = characters_max
        self._failed = False
        self._includes = 0
        self._nodes = 0
        self.characters_read = 0
        self.values: dict[Place, str] = {}

    def expand(self, root: Node | None) -> Node | None:
        """The workflow with the fragments in their places. None if the diagnostics say why that cannot be."""
        if not isinstance(root, MapNode) or next(include_items(root), None) is None:
            return root
        try:
            steps, services = self._parts(root, ())
        except _StopError:
            return None
        if self._failed:
            return None
        entries = [(key, value) for key, value in root.entries if key.text not in {"steps", "services"}]
        for name, nodes in (("steps", steps), ("services", services)):
            place = root.by_key[name].place if name in root.by_key else root.key_place("steps")
            if nodes:
                entries.append((ScalarNode(root.key_place(name), name), ListNode(place, tuple(nodes))))
        return root.with_entries(entries)

    def _parts(self, root: MapNode, trail: tuple[Address, ...]) -> _Parts:
        """The steps and services of a file, with those of the fragments that it includes."""
        steps: list[Node] = []
        services = self._items(root, "services")
        for item in self._items(root, "steps"):
            if isinstance(item, MapNode) and "include" in item.by_key:
                inner = self._included(item, trail)
                steps += inner[0]
                services += inner[1]
            else:
                steps.append(item)
        return steps, services

    def _items(self, root: MapNode, group: str) -> list[Node]:
        node = named_list(root.by_key[group]) if group in root.by_key else None
        if isinstance(node, ScalarNode) and not node.is_null:
            self._error(node.place, f"'{group}' is a list, not {kind_name(node)}", "write for example - name: test")
        return list(node.items) if isinstance(node, ListNode) else []

    def _included(self, item: MapNode, trail: tuple[Address, ...]) -> _Parts:
        place = item.by_key["include"].place
        self._includes += 1
        if self._includes > INCLUDES_COUNT_MAX:
            self._stop(place, f"this pipeline file has more than {INCLUDES_COUNT_MAX} includes, fragments counted")
        try:
            address = self._address(item, trail)
            root = self._read(address, self._source(address, place), item)
        except _NotIncludedError:
            return [], []
        return self._parts(root, (*trail, address))

    def _address(self, item: MapNode, trail: tuple[Address, ...]) -> Address:
        """The address of the fragment that ``item`` includes. Raises _NotIncludedError."""
        node = item.by_key["include"]
        self._check_keys(item)
        address = address_of(node, trail[-1] if trail else None)
        if address is None:
            self._refuse_node(node)
        if wrong := wrong_address(address):
            at = node.by_key.get(wrong.key, node) if isinstance(node, MapNode) else node
            what = "path" if wrong.key == "path" else "address"
            self._refuse(at.place, f"the {what} of a fragment {wrong.why}", wrong.hint)
        if address in trail:
            chain = " -> ".join(each.name for each in (*trail[trail.index(address) :], address))
            self._refuse(node.place, f"these fragments include each other: {chain}", "remove one of the includes")
        if len(trail) >= LEVELS_MAX:
            message = f"fragments include fragments here in more than {LEVELS_MAX} levels"
            self._refuse(node.place, message, "include it from a file further up")
        return address

    def _check_keys(self, item: MapNode) -> None:
        node = item.by_key["include"]
        for key in (key for key, _ in item.entries if key.text not in INCLUDE_KEYS):
            hint = did_you_mean(key.text, INCLUDE_KEYS) or "write it at the steps of the fragment"
            self._refuse(key.place, f"'{key.text[:80]}' does not go with 'include'", hint)
        for key, _ in node.entries if isinstance(node, MapNode) else ():
            if key.text not in OTHER_REPOSITORY_KEYS:
                hint = did_you_mean(key.text, OTHER_REPOSITORY_KEYS) or _OTHER
                self._refuse(key.place, f"'include' has no key '{key.text[:80]}'", hint)
            if key.text == "with" and "with" in item.by_key:
                self._refuse(key.place, "'with' stands here twice", "write it once")

    def _refuse_node(self, node: Node) -> Never:
        """What stands behind ``include`` is neither a path nor an address in another repository."""
        if not isinstance(node, MapNode):
            message = f"'include' is the path of one file, not {kind_name(node)}"
            self._refuse(node.place, message, "write include: ci/test.yml, and a list item for each file")
        values = {key: node.by_key.get(key) for key in ADDRESS_KEYS}
        key = next(key for key, value in values.items() if not (isinstance(value, ScalarNode) and value.text))
        place = (values[key] or node).place
        self._refuse(place, f"a fragment of another repository needs '{key}', a text", _OTHER)

    def _source(self, address: Address, place: Place) -> Source:
        """The text of a fragment, included at ``place``. Raises _NotIncludedError."""
        path, fragment = address.name, self._fragments.get(address)
        if fragment is None:
            hint = "write the path out, without ${NAME}: files are read before variables have values"
            self._refuse(place, f"the fragment '{path}' was not read", hint)
        if fragment.trouble:
            hint = (
                "look at its address"
                if address.repo
                else "look at the path, which begins at the root of the repository"
            )
            self._refuse(place, f"the fragment cannot be read: {fragment.trouble}", hint)
        self.characters_read += len(fragment.text)
        if self.characters_read > self._characters_max:
            message = f"with this fragment more than {self._characters_max:,} bytes are included in this file"
            self._stop(place, f"{message}, the limit for each combination of its matrix")
        at = f"{place.fragment or self._diagnostics.file}:{place.line}:{place.column}"
        at = f"{at}, {place.included_at}" if place.included_at else at
        found = Diagnostics(path)
        decoded = decode(fragment.text, found)
        for each in found.problems:
            self._error(Place(each.line, each.column, path, at), each.message, each.hint)
        if decoded is None:
            raise _NotIncludedError
        return Source(decoded.text, path, at)

    def _read(self, address: Address, source: Source, item: MapNode) -> MapNode:
        """The fragment with the values of its inputs. Raises _NotIncludedError."""
        template = parse_template(source, self._diagnostics)
        early = render_placeholders(source, template)
        root = self._map(parse_yaml(early.text, self._diagnostics, early.locate, early.finish), source)
        declared = declared_by(root, self._diagnostics)
        given = given_by(item, address.name, declared, self._diagnostics) if declared is not None else None
        if given is None:
            self._failed = True
            raise _NotIncludedError
        try:
            rendered = render(source, template, self._with(given), self._diagnostics)
            final = parse_yaml(rendered.text, self._diagnostics, rendered.locate, rendered.finish)
        except TooLongError:
            self._refuse(source.place(0), "with its variables filled in, this fragment becomes too long", _SIMPLER)
        warn_of_unknown_names(rendered.unknown, final, self._diagnostics)
        self.values |= values_at(rendered, {})
        read = self._map(final, source)
        self._nodes += read.size
        if self._nodes > NODES_COUNT_MAX:
            self._stop(read.place, f"with this fragment more than {NODES_COUNT_MAX:,} values are included in this file")
        return read

    def _with(self, given: Given) -> Variables:
        run = self._variables
        return Variables(
            {**run.outside, **given.texts}, given.words, {*run.known, *given.names}, run.at_run_time, given.names
        )

    def _map(self, root: Node | None, source: Source) -> MapNode:
        """The root of a fragment, which is a map of known keys. Raises _NotIncludedError."""
        if root is None and self._diagnostics.failed:
            self._failed = True
            raise _NotIncludedError
        if not isinstance(root, MapNode) or not root.by_key.keys() & {"steps", "services"}:
            message = "a fragment is a map with 'steps' or 'services', and this file has neither"
            self._refuse(source.place(0), message, "write 'steps:' and the steps below it")
        for key, _ in root.entries:
            if key.text not in FRAGMENT_KEYS:
                hint = did_you_mean(key.text, FRAGMENT_KEYS) or "write it in the file that includes this one"
                self._error(key.place, f"a fragment cannot have '{key.text[:80]}'", hint)
        return root

    def _error(self, place: Place, message: str, hint: str) -> None:
        self._failed = True
        self._diagnostics.error(place, message, hint)

    def _refuse(self, place: Place, message: str, hint: str) -> Never:
        self._error(place, message, hint)
        raise _NotIncludedError

    def _stop(self, place: Place, message: str) -> Never:
        self._error(place, message, _SIMPLER)
        raise _StopError
