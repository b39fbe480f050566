"""Validates nodes against the models: the result is a workflow, or all errors, each with its place and a hint."""

from collections.abc import Collection
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipelines.model import other_ci_systems
from pipelines.model.base import PipelineModel
from pipelines.model.concurrency import Concurrency
from pipelines.model.conditions import Condition, PathPatterns, Patterns
from pipelines.model.inputs import InputDeclaration
from pipelines.model.retry import Retry
from pipelines.model.workflow import (
    STEP_KINDS,
    BackendOptions,
    Build,
    BuildStep,
    CommandsStep,
    ComposeService,
    Dependency,
    DockerOptions,
    ImageChoice,
    PluginStep,
    Push,
    PushStep,
    ReadyCheck,
    Service,
    Workflow,
    Workspace,
)
from pipelines.parser.legacy_syntax import rewrite_legacy_syntax
from pipelines.parser.likely_mistakes import warn_of_likely_mistakes
from pipelines.parser.unknown_values import drop_unknown_values
from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode, kind_name

Location = tuple[str | int, ...]

_STEP_MODELS: dict[str, type[PipelineModel]] = {
    "commands": CommandsStep,
    "plugin": PluginStep,
    "build": BuildStep,
    "push": PushStep,
    "compose": ComposeService,
}
_MODELS: dict[str, type[PipelineModel]] = {
    "services": Service,
    "when": Condition,
    "path": PathPatterns,
    **dict.fromkeys(("branch", "ref", "repo", "instance", "platform", "cron", "matrix"), Patterns),
    "depends_on": Dependency,
    "image": ImageChoice,
    "build": Build,
    "push": Push,
    "ready": ReadyCheck,
    "workspace": Workspace,
    "concurrency": Concurrency,
    "retry": Retry,
    "inputs": InputDeclaration,
    "backend_options": BackendOptions,
    "docker": DockerOptions,
}
_STEP_KEYS = frozenset(name for kind in _STEP_MODELS.values() for name in kind.model_fields)
_NOT_SUPPORTED_YET = frozenset({"deploy"})


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
        if key in _NOT_SUPPORTED_YET:
            report(place, f"'{key}'{within} is not supported yet", "remove it")
        elif in_step and key in _STEP_KEYS:
            kind = str(tagged[2])
            self.diagnostics.error(
                place, f"'{key}' does not go with {_KIND_NAMES[kind]}{within}", _conflict_hint(key, kind)
            )
        else:
            report(place, f"unknown key '{key}'{within}", _unknown_hint(key, tagged))

    def within(self, location: Location) -> str:
        """The step or service of a location, as words for an error message."""
        match location:
            case ("steps" | "services" | "clone" as group, int(index), *_):
                noun = {"steps": "step", "services": "service", "clone": "clone step"}[group]
                _, node = _walk(self.root, (group, index, "name"))
                return f" in {noun} '{node.text}'" if isinstance(node, ScalarNode) else f" in {noun} {index + 1}"
            case _:
                return ""


_KIND_NAMES = {
    "commands": "'commands'",
    "plugin": "a plugin",
    "build": "'build'",
    "push": "'push'",
    "compose": "'compose'",
}


def _conflict_hint(key: str, kind: str) -> str:
    if key in {"settings", "commands", "build", "push"}:
        return "a step is one of commands, settings (a plugin), build and push; make two steps"
    if (key, kind) == ("resources", "build"):
        return "remove it: the engine's BuildKit knows no limits for one build; they are for steps and services"
    return f"only steps with a container have it; remove it, or move it from the {kind} step to one"


def _unknown_hint(key: str, tagged: Location) -> str:
    known = _known_keys(tagged)
    match tagged:
        case ("kind",):
            return "only Drone's pipelines have it; docs/using/coming-from.md says how to write them here"
        case (str() as key_of_root,) if key_of_root.startswith(("x-", ".")):
            return "anchors have their place below 'variables': a list, or a map of any names"
        case ("services", int(), "command" | "args"):
            return "a service runs what its image says; write entrypoint: [PROGRAM, ARGUMENT] to start something else"
        case ("steps" | "clone" as group, int(), "plugin", str()) if key not in other_ci_systems.KEYS:
            unlikely = {"build", "push"} if group == "steps" else {"detach"}  # 'depth' is meant for the checkout
            near = did_you_mean(key, (name for name in known if name not in unlikely))
            return near or "the inputs of a plugin stand below 'settings'; else remove it"
        case ("include",) | ("steps", "include"):
            return "it is an item of 'steps': - include: ci/test.yml"
        case _ if other_ci_systems.KEYS.get(key) in known:
            return f"did you mean '{other_ci_systems.KEYS[key]}'?"
        case _:
            return did_you_mean(key, known) or "remove it"


def _known_keys(tagged: Location) -> list[str]:
    parents = [part for part in tagged[:-1] if isinstance(part, str)]
    if not parents:
        found: type[PipelineModel] = Workflow
    elif parents[-1] in _STEP_MODELS and parents[0] in {"steps", "clone"} and len(parents) == 2:  # noqa: PLR2004
        found = _STEP_MODELS[parents[-1]]
    else:
        found = next((_MODELS[part] for part in reversed(parents) if part in _MODELS), Workflow)
    extra = ["build", "push", "commands", "settings"] if found in _STEP_MODELS.values() else []
    return [field.alias or name for name, field in found.model_fields.items()] + extra


def _name_of(location: Location) -> str:
    names = [part for part in location if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "this"


def _missing(location: Location, within: str) -> tuple[str, str]:
    key = str(location[-1])
    if location == ("steps",):
        return "there are no steps", "add 'steps' with at least one step"
    hints = {"repo": "say where to push: repo: registry.example.org/owner/name", "commands": "add a command"}
    return f"'{key}' is missing or empty{within}", hints.get(key, f"add '{key}'")
