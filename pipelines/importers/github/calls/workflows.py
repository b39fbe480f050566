"""Workflows of the repository that jobs call (``workflow_call``): their jobs in place of the job that calls them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.importers.github.calls.conditions import asks_for_status, both, joined, runs_after_failure, stripped
from pipelines.importers.github.calls.files import Called, CalledFiles, arguments
from pipelines.importers.github.calls.replacing import (
    NODE_CHARACTERS,
    Budget,
    FreeNames,
    Replacer,
    Value,
    characters_of,
)
from pipelines.importers.github.expressions.parser import Ref
from pipelines.importers.github.expressions.printer import expression
from pipelines.importers.keys import Keys, entries_of, text_of, texts_of
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

Entry = tuple[ScalarNode, Node]
_OF_CALLERS = ("name", "with", "secrets", "strategy", "needs", "if", "concurrency", "permissions")


class CalledJob(NamedTuple):
    """A job, and the called workflow that it is of; None for the imported file itself."""

    name: str
    node: Node
    top: Node | None = None


@dataclass(frozen=True)
class _Level:
    """One workflow: what its jobs are called in the whole, what its names mean, and which job calls it."""

    names: Mapping[str, str]
    inside: Replacer | None = None
    secrets: Mapping[str, Value] | None = None
    stack: tuple[str, ...] = ()
    top: Node | None = None
    caller: MapNode | None = None


@dataclass
class WorkflowCalls:
    """The calls of one imported file. ``_members`` are the jobs that stand for a job that calls."""

    files: CalledFiles
    budget: Budget
    _names: FreeNames = field(default_factory=FreeNames)
    _members: dict[str, list[str]] = field(default_factory=dict)
    _values: dict[tuple[str, str], Value] = field(default_factory=dict)

    def jobs(self, entries: Sequence[Entry]) -> list[CalledJob]:
        """The jobs of a file, with those of the workflows that they call. Raises TooLargeError."""
        if not any(_calls(node) for _, node in entries):
            return [CalledJob(key.text, node) for key, node in entries]
        own = {key.text.lower(): key.text for key, _ in entries}
        self._names = FreeNames(own.values())
        found = self._of_level(entries, _Level(own))
        return [self._finished(job) for job in found]

    def _of_level(self, entries: Sequence[Entry], level: _Level) -> list[CalledJob]:
        found: list[CalledJob] = []
        for key, raw in entries:
            name, node = level.names[key.text.lower()], level.inside.job(raw) if level.inside else raw
            if isinstance(node, MapNode):
                node = self._under_caller(node, level)
            if isinstance(node, MapNode) and _calls(node):
                found += self._called(name, node, level)
            else:
                found.append(CalledJob(name, node, level.top))
        return found

    def _called(self, name: str, node: MapNode, level: _Level) -> list[CalledJob]:
        """The jobs that stand for one that calls a workflow."""
        self._members[name] = []
        keys = Keys(node, self.files.remarks, f"job '{name}'")
        uses, place = keys.text("uses").strip(), keys.place("uses")
        called = self.files.workflow(uses, place, level.stack)
        if called is None:
            return []
        on = called.root.by_key.get("on")
        if "workflow_call" not in ([key.text for key, _ in entries_of(on)] or texts_of(on)):
            text = f"the workflow {uses} has no 'workflow_call' in its 'on'; it is left out"
            self.files.remarks.error(place, text)
            return []
        for name_of_key in _OF_CALLERS:
            keys.take(name_of_key)
        keys.remark_rest()
        inner = entries_of(called.root.by_key.get("jobs"))
        names = {key.text.lower(): self._names.of(f"{name}-{key.text}") for key, _ in inner}
        inside, secrets = self._inside(called, node, names, level)
        top = called.root.with_entries([each for each in called.root.entries if each[0].text not in {"jobs", "on"}])
        jobs = self._of_level(inner, _Level(names, inside, secrets, called.stack, inside.node(top), node))
        self._members[name] = [job.name for job in jobs]
        for key, value in entries_of(_declared(called, "outputs")):
            shown = text_of(value.by_key.get("value")) if isinstance(value, MapNode) else ""
            self._values[name.lower(), key.text.lower()] = Value(self._outputs.text(inside.text(shown)))
        return jobs

    def _inside(
        self, called: Called, caller: MapNode, names: Mapping[str, str], level: _Level
    ) -> tuple[Replacer, Mapping[str, Value] | None]:
        """What the names in the called workflow mean, and the secrets that it is given; None for all."""
        what, remarks = f"the workflow {called.path}", self.files.remarks
        inputs = arguments(_declared(called, "inputs"), caller.by_key.get("with"), what, remarks)
        secrets = level.secrets
        given = caller.by_key.get("secrets")
        if text_of(given) != "inherit":
            secrets = {key.text.lower(): Value(text_of(value)) for key, value in entries_of(given)}
            for key, value in entries_of(_declared(called, "secrets")):
                needed = isinstance(value, MapNode) and text_of(value.by_key.get("required")) == "true"
                if needed and key.text.lower() not in secrets:
                    text = f"{what} needs the secret '{key.text}', which is not given; it is empty"
                    remarks.warning(caller.key_place("uses"), text)

        def replace(ref: Ref) -> Value | None:
            match ref.path:
                case ("inputs", name):
                    return inputs.get(name.lower(), Value(""))
                case ("secrets", name) if secrets is not None and name.lower() != "github_token":
                    return secrets.get(name.lower(), Value(""))
                case ("needs" | "jobs", job, *rest) if job in names:
                    return Value(expression(Ref(("needs", names[job], *rest))))
                case _:
                    return None

        return Replacer(replace, self.budget), secrets

    def _under_caller(self, node: MapNode, level: _Level) -> MapNode:
        """A job with what the job that calls it says: ``if`` after which status counts for the first jobs alone."""
        entries = {key.text: (key, value) for key, value in node.entries}
        needs = [level.names.get(name.lower(), name) for name in texts_of(node.by_key.get("needs"))]
        if level.caller is not None:
            caller, first = level.caller, not needs
            condition, own = text_of(caller.by_key.get("if")), text_of(node.by_key.get("if"))
            of_caller, is_for_all = texts_of(caller.by_key.get("needs")), not asks_for_status(condition)
            if first or is_for_all:
                needs += [each for each in of_caller if each not in needs]
            place = node.key_place("if") if own else caller.key_place("if")
            text = both(condition, own) if first else joined(stripped(condition, map(str.lower, of_caller)), own)
            if not first and is_for_all and of_caller and runs_after_failure(own):
                text = both(condition, own)
                why = (
                    "this job of a call does not run after a failure here, because what the call needs may have failed"
                )
                self.files.remarks.warning(place, why)
            self.budget.spend(len(text))
            if text:
                entries["if"] = (ScalarNode(place, "if"), ScalarNode(place, text))
            self._add_options(entries, node, caller)
        if needs:
            place = node.key_place("needs")
            items = tuple(ScalarNode(place, name) for name in needs)
            entries["needs"] = (ScalarNode(place, "needs"), ListNode(place, items))
        return node.with_entries(list(entries.values()))

    def _add_options(self, entries: dict[str, Entry], node: MapNode, caller: MapNode) -> None:
        for name in ("strategy", "concurrency"):
            given, own = caller.by_key.get(name), node.by_key.get(name)
            self.budget.spend(characters_of(given))
            if given is not None and own is None:
                entries[name] = (ScalarNode(node.place, name), given)
            elif given is not None and name == "strategy" and own is not None:
                entries[name] = (ScalarNode(node.place, name), self._both_strategies(given, own))

    def _both_strategies(self, given: Node, own: Node) -> Node:
        """The matrix of the caller times the job's own."""
        one, other = (each.by_key.get("matrix") if isinstance(each, MapNode) else None for each in (given, own))
        if one is None or not isinstance(given, MapNode):
            return own
        if other is None:
            rest = [(key, value) for key, value in entries_of(own) if key.text not in given.by_key]
            return given.with_entries([*given.entries, *rest])
        if isinstance(one, MapNode) and isinstance(other, MapNode):
            names = [key.text for key, _ in (*one.entries, *other.entries)]
            if len(set(names)) == len(names) and not {"include", "exclude"} & set(names):
                matrix = one.with_entries([*one.entries, *other.entries])
                rest = [(key, value) for key, value in entries_of(own) if key.text != "matrix"]
                return MapNode(own.place, ((ScalarNode(own.place, "matrix"), matrix), *rest))
        text = "this matrix and that of a job in the called workflow cannot be one; this one is left out"
        self.files.remarks.error(given.place, text, "write the combinations into one matrix")
        return own

    @property
    def _outputs(self) -> Replacer:
        def replace(ref: Ref) -> Value | None:
            match ref.path:
                case ("needs", job, "outputs", name):
                    return self._values.get((job, name.lower()))
                case _:
                    return None

        return Replacer(replace, self.budget)

    def _finished(self, job: CalledJob) -> CalledJob:
        """The job with the outputs of called workflows in it, after the jobs that stand for those that it needs."""
        node = self._outputs.job(job.node)
        if isinstance(node, MapNode) and "needs" in node.by_key:
            place = node.key_place("needs")
            names = [each for name in texts_of(node.by_key["needs"]) for each in self._members.get(name, [name])]
            self.budget.spend(sum(len(name) + NODE_CHARACTERS for name in names))
            needs = ListNode(place, tuple(ScalarNode(place, name) for name in dict.fromkeys(names)))
            node = node.with_entries([(key, needs if key.text == "needs" else value) for key, value in node.entries])
        return CalledJob(job.name, node, None if job.top is None else self._outputs.node(job.top))


def _calls(node: Node) -> bool:
    return isinstance(node, MapNode) and text_of(node.by_key.get("uses")).strip().startswith("./")


def _declared(called: Called, key: str) -> Node | None:
    """The inputs, outputs or secrets of a called workflow."""
    on = called.root.by_key.get("on")
    found = on.by_key.get("workflow_call") if isinstance(on, MapNode) else None
    return found.by_key.get(key) if isinstance(found, MapNode) else None
