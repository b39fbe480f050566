"""Validates nodes against the models: the result is a workflow, or all errors, each with its place and a hint."""

from collections.abc import Collection
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipelines.model import other_ci_systems
from pipelines.model.workflow import (
    STEP_KINDS,
    Workflow,
)
from pipelines.parser.legacy_syntax import rewrite_legacy_syntax
from pipelines.parser.likely_mistakes import warn_of_likely_mistakes
from pipelines.parser.unknown_keys import (
    KIND_NAMES,
    NOT_SUPPORTED_YET,
    STEP_KEYS,
    Location,
    conflict_hint,
    unknown_hint,
)
from pipelines.parser.unknown_values import drop_unknown_values
from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics, Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name


class LocatedWorkflow(NamedTuple):
    """A workflow and the nodes it was made from, which give later problems their places.

    ``removed`` are invalid parts that were left out of it. If any of them is not an unknown key, the file does not run.
    """

    workflow: Workflow
    root: MapNode
    diagnostics: Diagnostics
    removed: frozenset[Location] = frozenset()

    def was_changed(self, *location: str | int) -> bool:
        """True if an invalid part was removed here: then a missing key is not the author's mistake."""
        return any(path[: len(location)] == location for path in self.removed)

    def lost_a_build(self) -> bool:
        """True if an invalid ``build`` was removed from a step."""
        return any(path[2:] == ("build",) for path in self.removed)

    def node(self, *location: str | int) -> Node:
        """The node of this part of the workflow. If the file does not have it, the nearest node around it."""
        return _walk(self.root, location)[1]

    def place(self, *location: str | int) -> Place:
        """The place of this part of the workflow. If the file does not have it, of the nearest part around it."""
        return self.node(*location).place

    def key_place(self, *location: str | int) -> Place:
        """The place of the key of this part."""
        return _key_place(self.root, location)


def read_workflow(root: Node | None, diagnostics: Diagnostics, *, lenient: bool) -> LocatedWorkflow | None:
    """The workflow. None, with errors in ``diagnostics``, if no workflow can be made even without the invalid parts."""
    top = _top(root, diagnostics)
    if top is None:
        return None
    root = rewrite_legacy_syntax(top, diagnostics)
    root = drop_unknown_values(root, diagnostics) if lenient else root
    removed: frozenset[Location] = frozenset()
    while True:  # again without the invalid parts, to find the other errors
        try:
            workflow = Workflow.model_validate(root)
            warn_of_likely_mistakes(root, diagnostics)
            return LocatedWorkflow(workflow, root, diagnostics, removed)
        except ValidationError as error:
            details = _relevant(error.errors(include_url=False, include_input=False))
        reporter = _Reporter(root, diagnostics, lenient)
        for detail in details:
            by_us = removed and detail["type"] in {"missing", "too_short"}
            if not by_us and not diagnostics.full:
                reporter.report(detail)
        wrong = frozenset(reporter.wrong_key(detail) for detail in details)
        if wrong & {(), ("steps",)} or wrong <= removed:  # nothing more can be removed
            return None
        root = _without(root, wrong)
        removed |= wrong


def _top(root: Node | None, diagnostics: Diagnostics) -> MapNode | None:
    """The map that a pipeline file is; None, with an error, if it is something else."""
    if root is None and diagnostics.failed:
        return None
    if not isinstance(root, MapNode):
        what = "empty" if root is None else kind_name(root)
        message = f"a pipeline file is a map with 'steps', but this is {what}"
        diagnostics.error(root.place if root else WHOLE_FILE, message, "write 'steps:' and the steps below it")
        return None
    if system := other_ci_systems.system_of(root.by_key):
        diagnostics.error(root.place, *other_ci_systems.foreign_file(system, diagnostics.file))
        return None
    return root


def report_invalid(error: ValidationError, root: MapNode, diagnostics: Diagnostics) -> None:
    """Reports what is wrong with a map that is no workflow."""
    for detail in _relevant(error.errors(include_url=False, include_input=False)):
        _Reporter(root, diagnostics, lenient=False).report(detail)


def _relevant(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without 'too short' errors for lists that have invalid items: pydantic counts only the valid ones."""
    locations = [detail["loc"] for detail in details]

    def has_wrong_items(location: Location) -> bool:
        return any(len(other) > len(location) and other[: len(location)] == location for other in locations)

    return [detail for detail in details if detail["type"] != "too_short" or not has_wrong_items(detail["loc"])]


def _untagged(location: Location) -> Location:
    """Without the kind of step, which pydantic inserts behind a step's index."""
    tagged = len(location) > 2 and location[0] in {"steps", "clone"} and location[2] in STEP_KINDS  # noqa: PLR2004
    return location[:2] + location[3:] if tagged else location


def _walk(root: Node, location: Location) -> tuple[Location, Node]:
    """The node at ``location``, or the last one on the way there, with its path."""
    path: list[str | int] = []
    node = root
    for part in location:
        child: Node | None = None
        if isinstance(node, MapNode) and isinstance(part, str):  # a number is an index of a list, not a key
            child = node.by_key.get(part)
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
        if child is not None:
            path.append(part)
            node = child
    return tuple(path), node


def _key_place(root: Node, location: Location) -> Place:
    _, parent = _walk(root, location[:-1])
    return parent.key_place(str(location[-1])) if isinstance(parent, MapNode) and location else parent.place


def _without(node: MapNode, locations: Collection[Location], path: Location = ()) -> MapNode:
    """A copy of a map without the keys at ``locations``."""
    kept = [(key, value) for key, value in node.entries if (*path, key.text) not in locations]
    return node.with_entries([(key, _prune(value, locations, (*path, key.text))) for key, value in kept])


def _prune(node: Node, locations: Collection[Location], path: Location) -> Node:
    if isinstance(node, MapNode):
        return _without(node, locations, path)
    if isinstance(node, ListNode):
        items = tuple(_prune(item, locations, (*path, index)) for index, item in enumerate(node.items))
        return ListNode(node.place, items, node.size, node.height)
    return node


class _Reporter(NamedTuple):
    root: MapNode
    diagnostics: Diagnostics
    lenient: bool

    def wrong_key(self, detail: ErrorDetails) -> Location:
        """The path, in the tree of nodes, of the key that an error is about, or in which a key is missing."""
        *parents, last = _untagged(detail["loc"])
        if detail["type"] == "extra_forbidden":
            return (*_walk(self.root, tuple(parents))[0], last)
        path = _walk(self.root, tuple(parents) if detail["type"] == "missing" else (*parents, last))[0]
        while path and not isinstance(path[-1], str):
            path = path[:-1]
        return path

    def report(self, detail: ErrorDetails) -> None:
        location = _untagged(detail["loc"])
        path, node = _walk(self.root, location)
        place = node.place
        match detail["type"]:
            case "headway":
                context = detail.get("ctx", {})
                message = f"{_name_of(path)}: {context['message']}"
                self.diagnostics.error(context["place"] or place, message, context["hint"])
            case "extra_forbidden":
                self.unknown_key(detail["loc"], location)
            case "missing" | "too_short":
                self.diagnostics.error(place, *_missing(location, self.within(location)))
            case _:  # pragma: no cover - our own validators run first; if they have a gap, this still gives the place
                self.diagnostics.error(place, f"{_name_of(location)}: {detail['msg']}")

    def unknown_key(self, tagged: Location, location: Location) -> None:
        key, place, within = str(location[-1]), _key_place(self.root, location), self.within(location)
        report = self.diagnostics.warning if self.lenient else self.diagnostics.error
        in_step = len(location) == 3 and location[0] == "steps"  # noqa: PLR2004 - steps, index, key
        if key in NOT_SUPPORTED_YET:
            report(place, f"'{key}'{within} is not supported yet", "remove it")
        elif in_step and key in STEP_KEYS:
            kind = str(tagged[2])
            self.diagnostics.error(
                place, f"'{key}' does not go with {KIND_NAMES[kind]}{within}", conflict_hint(key, kind)
            )
        else:
            report(place, f"unknown key '{key}'{within}", unknown_hint(key, tagged))

    def within(self, location: Location) -> str:
        """The step or service of a location, as words for an error message."""
        match location:
            case ("steps" | "services" | "clone" as group, int(index), *_):
                noun = {"steps": "step", "services": "service", "clone": "clone step"}[group]
                _, node = _walk(self.root, (group, index, "name"))
                return f" in {noun} '{node.text}'" if isinstance(node, ScalarNode) else f" in {noun} {index + 1}"
            case _:
                return ""


def _name_of(location: Location) -> str:
    names = [part for part in location if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "this"


def _missing(location: Location, within: str) -> tuple[str, str]:
    key = str(location[-1])
    if location == ("steps",):
        return "there are no steps", "add 'steps' with at least one step"
    hints = {"repo": "say where to push: repo: registry.example.org/owner/name", "commands": "add a command"}
    return f"'{key}' is missing or empty{within}", hints.get(key, f"add '{key}'")
