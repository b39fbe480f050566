"""Puts steps in the place of those with ``compose``: what a Compose file says, as steps like all others.

Like the includes it works on nodes, after values have been filled in, so that every problem has its place.
"""

from collections.abc import Iterator, Mapping
from shlex import split
from typing import Never

from pydantic import ValidationError

from pipelines.compose.env_files import defaults_file
from pipelines.compose.order import Choice
from pipelines.compose.project import Asked, read_project
from pipelines.compose.report import shown
from pipelines.compose.service import Service
from pipelines.compose.steps import ComposeStep, steps_of
from pipelines.interpolation.parser import Source
from pipelines.model.compose import COMPOSE_STEP_KEYS, Compose, ComposeHead
from pipelines.parser.decoding import decode
from pipelines.parser.fragment_addresses import Address, wrong_address, wrong_file
from pipelines.parser.fragments import Fragments, compose_items, is_compose_item
from pipelines.parser.legacy_syntax import named_list
from pipelines.parser.validation import report_invalid
from pipelines.problem import Level
from pipelines.syntax.diagnostics import Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.syntax.yaml import parse_yaml

COMPOSE_STEPS_COUNT_MAX = 10  # of one pipeline file
_UNNAMED = "compose"
_COMMAND = "write a text, or a list of words"


class _UnusableError(Exception):
    """A step cannot be replaced; the diagnostics have the error."""


class ComposeExpander:
    """Replaces the Compose steps of one pipeline file. ``characters_max`` is for all Compose files that it reads."""

    def __init__(self, fragments: Fragments, diagnostics: Diagnostics, characters_max: int) -> None:
        self._fragments = fragments
        self._diagnostics = diagnostics
        self._characters_max = characters_max
        self._hosts: dict[str, tuple[int, str]] = {}
        self.characters_read = 0

    def expand(self, root: Node) -> Node | None:
        """The workflow with steps in the place of Compose steps. None if the diagnostics say why that cannot be."""
        if not isinstance(root, MapNode):
            return root
        misplaced = [item for group in ("clone", "pipeline", "services") for item in compose_items(root, group)]
        for item in misplaced:
            message = "'compose' is a key of a step, and stands here in none"
            self._diagnostics.error(item.key_place("compose"), message, "write it in an item of 'steps'")
        items = list(_items(root, "steps"))
        count = sum(map(is_compose_item, items))
        if misplaced or not count:
            return None if misplaced else root
        if count > COMPOSE_STEPS_COUNT_MAX:
            message = f"this file has {count} steps with 'compose', and at most {COMPOSE_STEPS_COUNT_MAX} are run"
            self._diagnostics.error(root.key_place("steps"), message, "split the file")
            return None
        self._hosts = {name: (0, what) for name, what in _hosts_of(root, items)}
        return self._with_steps(root, items)

    def _with_steps(self, root: MapNode, items: list[Node]) -> MapNode | None:
        graph = has_graph([*items, *_items(root, "clone")])
        made: list[Node] = []
        groups: dict[str, list[str]] = {}
        failed = False
        number = 0
        for item in items:
            if not (isinstance(item, MapNode) and is_compose_item(item)):
                made.append(item)
                continue
            number += 1
            try:
                steps = self._steps(item, number, graph=graph)
            except _UnusableError:
                failed = True
                continue
            made += steps
            if "detach" in item.by_key:
                groups[_text(item, "name") or _UNNAMED] = [_text(step, "name") for step in steps]
        if failed:
            return None
        key = ScalarNode(root.key_place("steps"), "steps")
        whole = ListNode(root.by_key["steps"].place, tuple(with_members(step, groups) for step in made))
        return root.with_entries([(key, whole) if entry[0].text == "steps" else entry for entry in root.entries])

    def _steps(self, item: MapNode, number: int, *, graph: bool) -> list[MapNode]:
        head = self._head(item)
        place = item.by_key["compose"].place
        environment = item.by_key.get("environment")
        choice = Choice(head.compose.service, frozenset(head.compose.profiles), head.detach)
        root = self._root(head.compose, place)
        defaults = self._defaults(head.compose.file, place)
        asked = Asked(head.compose.file, place, choice, dict(_environment(environment)), self._env_file, defaults)
        services = read_project(root, asked, self._diagnostics)
        if services is None:
            raise _UnusableError
        step = ComposeStep(
            head.name or _UNNAMED,
            number,
            item,
            self._images(head.compose, services, place),
            self._command(head.compose),
            head.detach,
            graph,
        )
        self._take_hosts(services, number)
        return steps_of(step, services)

    def _head(self, item: MapNode) -> ComposeHead:
        for key, _ in item.entries:
            if key.text not in COMPOSE_STEP_KEYS:
                hint = did_you_mean(key.text, COMPOSE_STEP_KEYS) or "its containers have what the Compose file says"
                self._refuse(key.place, f"'{shown(key.text)}' does not go with 'compose'", hint)
        node = item.by_key["compose"]
        known = Compose.model_fields
        for key, _ in node.entries if isinstance(node, MapNode) else ():
            if key.text not in known:
                self._refuse(
                    key.place, f"'compose' has no key '{shown(key.text)}'", did_you_mean(key.text, known) or "remove it"
                )
        own = item.with_entries([entry for entry in item.entries if entry[0].text in ComposeHead.model_fields])
        try:
            head = ComposeHead.model_validate(own)
        except ValidationError as error:
            report_invalid(error, own, self._diagnostics)
            raise _UnusableError from None
        self._check_detached(item, head)
        return head

    def _check_detached(self, item: MapNode, head: ComposeHead) -> None:
        if not head.detach:
            return
        for key in ("retry", "artifacts", "reports", "timeout"):
            if key in item.by_key:
                message = f"'{key}' does not go with 'detach': no service of this Compose step is waited for"
                self._refuse(item.key_place(key), message, "remove one of them")
        if head.compose.service or head.compose.command is not None:
            message = "'service' and 'command' do not go with 'detach': no service of this step is waited for"
            self._refuse(item.key_place("detach"), message, "remove them, or 'detach'")

    def _root(self, compose: Compose, place: Place) -> Node | None:
        """The content of the Compose file."""
        address = Address(compose.file)
        if wrong := wrong_address(address):
            self._refuse(place, f"the path of a Compose file {wrong.why}", wrong.hint)
        source = self._source(compose.file, "the Compose file", place)
        before = len(self._diagnostics.problems)
        root = parse_yaml(source.text, self._diagnostics, lambda mark: source.place(mark.index))
        if any(each.level is Level.ERROR for each in self._diagnostics.problems[before:]):
            raise _UnusableError
        return root

    def _env_file(self, path: str, node: Node) -> Source | None:
        """A file that ``env_file`` of a service names; None if the commit has none."""
        if wrong := wrong_file(path):
            self._refuse(node.place, f"the path in 'env_file' {wrong.why}", wrong.hint)
        read = self._fragments.get(Address(path))
        return None if read is not None and read.absent else self._source(path, "the file", node.place)

    def _defaults(self, compose_file: str, place: Place) -> Source | None:
        """The ``.env`` beside the Compose file, if the commit has one."""
        path = defaults_file(compose_file)
        read = self._fragments.get(Address(path))
        return None if read is None or read.absent else self._source(path, "the file", place)

    def _source(self, path: str, what: str, place: Place) -> Source:
        """A file that was read, as text."""
        read = self._fragments.get(Address(path))
        if read is None:
            hint = "write the path out, without ${NAME}: files are read before variables have values"
            self._refuse(place, f"{what} '{shown(path)}' was not read", hint)
        if read.trouble:
            hint = "look at the path, which begins at the root of the repository"
            self._refuse(place, f"{what} cannot be read: {read.trouble}", hint)
        self.characters_read += len(read.text)
        if self.characters_read > self._characters_max:
            message = f"with {what} '{shown(path)}' more than {self._characters_max:,} bytes are read for this file"
            self._refuse(place, f"{message}, the limit for each combination of its matrix", "use smaller files")
        at = f"{place.fragment or self._diagnostics.file}:{place.line}:{place.column}"
        at = f"{at}, {place.included_at}" if place.included_at else at
        found = Diagnostics(path)
        decoded = decode(read.text, found)
        for each in found.problems:
            self._diagnostics.error(Place(each.line, each.column, path, at), each.message, each.hint)
        if decoded is None:
            raise _UnusableError
        return Source(decoded.text, path, at)

    def _images(self, compose: Compose, services: list[Service], place: Place) -> Mapping[str, Node]:
        found: dict[str, Node] = {}
        names = [service.name for service in services]
        for name, node in compose.images.items():
            if name not in names:
                hint = did_you_mean(name, names) or f"it has {', '.join(map(shown, names))}"
                self._refuse(place, f"'images' names the service '{shown(name)}', which does not run here", hint)
            if isinstance(node, MapNode) or (isinstance(node, ScalarNode) and node.text and not node.is_null):
                found[name] = node
            else:
                message = f"the image of '{shown(name)}' is not a name"
                self._refuse(place, message, "write {build: STEP}, or an image's name")
        return found

    def _command(self, compose: Compose) -> tuple[ScalarNode, ...] | None:
        """The words in place of the service's own command: a list as it is, a text split as Compose does."""
        node = compose.command
        if isinstance(node, ListNode) and all(isinstance(item, ScalarNode) for item in node.items):
            return tuple(ScalarNode(each.place, each.text) for each in node.items if isinstance(each, ScalarNode))
        if isinstance(node, ListNode | MapNode):
            self._refuse(node.place, "'command' of a Compose step has words alone", _COMMAND)
        if not isinstance(node, ScalarNode):
            return None
        try:
            return tuple(ScalarNode(node.place, word) for word in split(node.text))
        except ValueError as error:
            self._refuse(node.place, f"'command' cannot be split into words: {error}", "close the quote")

    def _take_hosts(self, services: list[Service], number: int) -> None:
        """Reports a name that two containers of the job would have in its network."""
        failed = False
        for service in (each for each in services if each.role == "beside"):
            own = (number, service.label)
            for alias in service.aliases:
                other = self._hosts.setdefault(alias, own)
                if other != own:
                    failed = True
                    message = f"{service.label} would be reached as '{shown(alias)}', like {other[1]}"
                    self._diagnostics.error(service.place, message, "give one of them another name")
        if failed:
            raise _UnusableError

    def _refuse(self, place: Place, message: str, hint: str) -> Never:
        self._diagnostics.error(place, message, hint)
        raise _UnusableError


def _environment(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The variables of the step: texts, and {from_secret: name}."""
    if isinstance(node, MapNode):
        yield from ((key.text, value) for key, value in node.entries)
    for item in node.items if isinstance(node, ListNode) else ():
        name, _, text = (item.text if isinstance(item, ScalarNode) else "").partition("=")
        yield name, ScalarNode(item.place, text)


def _items(root: MapNode, group: str) -> list[Node]:
    node = named_list(root.by_key[group]) if group in root.by_key else None
    return list(node.items) if isinstance(node, ListNode) else []


def _text(item: Node, key: str) -> str:
    node = item.by_key.get(key) if isinstance(item, MapNode) else None
    return node.text if isinstance(node, ScalarNode) else ""


def _hosts_of(root: MapNode, steps: list[Node]) -> Iterator[tuple[str, str]]:
    """The names of the containers that the file itself has in the network."""
    for item in _items(root, "services"):
        yield _text(item, "name"), f"the service '{shown(_text(item, 'name'))}' of the pipeline file"
    for item in steps:
        if isinstance(item, MapNode) and "detach" in item.by_key and not is_compose_item(item):
            yield _text(item, "name"), f"the step '{shown(_text(item, 'name'))}'"


def has_graph(items: list[Node]) -> bool:
    """True if a step has ``depends_on``, so that the order of the file does not count."""
    nodes = (item.by_key.get("depends_on") for item in items if isinstance(item, MapNode))
    return any(node is not None and not (isinstance(node, ScalarNode) and node.is_null) for node in nodes)


def with_members(step: Node, groups: Mapping[str, list[str]]) -> Node:
    """The step; where it depends on a detached Compose step, it depends on all steps of that."""
    node = step.by_key.get("depends_on") if isinstance(step, MapNode) else None
    if not groups or node is None or not isinstance(step, MapNode):
        return step
    items: list[Node] = []
    for each in node.items if isinstance(node, ListNode) else (node,):
        name = each.text if isinstance(each, ScalarNode) else _text(each, "name")
        members = [ScalarNode(each.place, member) for member in groups.get(name, ())]
        items += members or [each]
    entry = ScalarNode(step.key_place("depends_on"), "depends_on"), ListNode(node.place, tuple(items))
    return step.with_entries([entry if key.text == "depends_on" else (key, value) for key, value in step.entries])
