"""Composite actions of the repository: their steps in place of the step that uses them."""

import re
from posixpath import dirname

from pipelines.importers.github.calls.conditions import both, runs_after_failure
from pipelines.importers.github.calls.files import Called, CalledFiles, arguments
from pipelines.importers.github.calls.replacing import Budget, FreeNames, Replacer, Value, characters_of
from pipelines.importers.github.expressions.names import CHECKOUT
from pipelines.importers.github.expressions.parser import Ref
from pipelines.importers.github.expressions.printer import expression
from pipelines.importers.keys import Keys, entries_of, items_of, text_of
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

_FOLDER = re.compile(r"\$(?:GITHUB_ACTION_PATH\b|\{GITHUB_ACTION_PATH\})")
_OF_CALLERS = ("name", "id", "if", "with", "env", "continue-on-error", "timeout-minutes")


def with_steps_of_actions(job: MapNode, files: CalledFiles, budget: Budget) -> MapNode:
    """The job with the steps of the repository's composite actions in it. Raises TooLargeError."""
    steps = items_of(job.by_key.get("steps"))
    if not any(_is_call(step) for step in steps):
        return job
    calls = _Calls(files, budget, FreeNames(_text(step, "id").lower() for step in steps))
    made = ListNode(job.key_place("steps"), tuple(calls.steps(steps, ())))
    entries = [(key, made if key.text == "steps" else value) for key, value in job.entries]
    found = calls.outputs.job(job.with_entries(entries))
    return found if isinstance(found, MapNode) else job


def _is_call(step: Node) -> bool:
    return _text(step, "uses").strip().startswith("./")


def _text(node: Node, key: str) -> str:
    return text_of(node.by_key.get(key)) if isinstance(node, MapNode) else ""


class _Calls:
    """The calls of one job. Ids of steps in actions become ids of the job, so each gets one that is free."""

    def __init__(self, files: CalledFiles, budget: Budget, ids: FreeNames) -> None:
        self._files, self._budget, self._ids = files, budget, ids
        self._values: dict[tuple[str, str], Value] = {}
        self.outputs = Replacer(self._output, budget)

    def _output(self, ref: Ref) -> Value | None:
        match ref.path:
            case ("steps", step, "outputs", name):
                return self._values.get((step, name.lower()))
            case _:
                return None

    def steps(self, steps: tuple[Node, ...], stack: tuple[str, ...]) -> list[Node]:
        """The steps, those of actions in the place of each call."""
        found: list[Node] = []
        for step in steps:
            found += self._of_action(step, stack) if isinstance(step, MapNode) and _is_call(step) else [step]
        return found

    def _of_action(self, step: MapNode, stack: tuple[str, ...]) -> list[Node]:
        remarks = self._files.remarks
        uses, place = _text(step, "uses").strip(), step.key_place("uses")
        called = self._files.action(uses, place, stack)
        if called is None:
            return []
        runs = called.root.by_key.get("runs")
        using = _text(runs, "using") if runs else ""
        if using != "composite":
            text = f"the action {uses} is a program for '{using}', which runs on GitHub's machines; it is left out"
            remarks.error(place, text, "write commands that do the same")
            return []
        caller = Keys(step, remarks, f"the step that uses {uses}")
        for name in ("uses", *_OF_CALLERS):
            caller.take(name)
        caller.remark_rest()
        inner = items_of(runs.by_key.get("steps")) if isinstance(runs, MapNode) else ()
        names = {name.lower(): self._ids.of(name.lower()) for each in inner if (name := _text(each, "id"))}
        inside = self._inside(step, called, names)
        made = self._with_caller(step, [self._plain(inside.step(each), called, names) for each in inner])
        found = self.steps(tuple(made), called.stack)
        for key, value in entries_of(called.root.by_key.get("outputs")):
            text = self.outputs.text(inside.text(_text(value, "value")))
            self._values[_text(step, "id").lower(), key.text.lower()] = Value(text)
        return found

    def _inside(self, step: MapNode, called: Called, names: dict[str, str]) -> Replacer:
        """What the names in the action mean."""
        what = f"the action {_text(step, 'uses').strip()}"
        inputs = arguments(called.root.by_key.get("inputs"), step.by_key.get("with"), what, self._files.remarks)

        def replace(ref: Ref) -> Value | None:
            match ref.path:
                case ("inputs", name):
                    return inputs.get(name.lower(), Value(""))
                case ("steps", name, *rest):
                    return Value(expression(Ref(("steps", names[name], *rest)))) if name in names else Value("")
                case ("secrets", name):
                    text = f"{what} reads the secret '{name}', which GitHub refuses in an action; it is empty"
                    self._files.remarks.error(step.key_place("uses"), text, "give it as an input")
                    return Value("")
                case ("github", "action_path"):
                    return Value(_folder_of(called))
                case _:
                    return None

        return Replacer(replace, self._budget)

    def _plain(self, step: Node, called: Called, names: dict[str, str]) -> Node:
        """A step of the action as one of a job: with an id of the job, and a folder, for it has no defaults."""
        if not isinstance(step, MapNode):
            return step
        entries = {key.text: (key, value) for key, value in step.entries}
        if "id" in entries:
            key, value = entries["id"]
            entries["id"] = (key, ScalarNode(value.place, names.get(text_of(value).lower(), "")))
        if "run" in entries:
            key, value = entries["run"]
            text = _FOLDER.sub(lambda _: _folder_of(called), text_of(value))
            entries["run"] = (key, ScalarNode(value.place, text))
            if not _text(step, "working-directory").strip():
                entries["working-directory"] = (_scalar(step, "working-directory"), _scalar(step, "."))
        return step.with_entries(list(entries.values()))

    def _with_caller(self, caller: MapNode, steps: list[Node]) -> list[Node]:
        """The steps with the condition, the variables and ``continue-on-error`` of the step that calls them."""
        ignored = caller.by_key.get("continue-on-error")
        remarks = self._files.remarks
        if ignored is not None and len(steps) > 1 and text_of(ignored) not in {"", "false"}:
            text = "'continue-on-error' holds for each step of the action here: those after the failed one run too"
            remarks.warning(caller.key_place("continue-on-error"), text)
        if "timeout-minutes" in caller.by_key:
            text = "'timeout-minutes' of a step that uses an action is left out: write 'timeout' of the whole"
            remarks.warning(caller.key_place("timeout-minutes"), text)
        for each in steps[1:]:
            if runs_after_failure(_text(each, "if")) and not runs_after_failure(_text(caller, "if")):
                text = "a step of an action that runs after a failure of the action runs only after success here"
                remarks.warning(each.key_place("if") if isinstance(each, MapNode) else each.place, text)
        return [self._joined(caller, each) if isinstance(each, MapNode) else each for each in steps]

    def _joined(self, caller: MapNode, step: MapNode) -> MapNode:
        entries = {key.text: (key, value) for key, value in step.entries}
        condition = both(_text(caller, "if"), _text(step, "if"))
        if condition:
            place = step.key_place("if") if "if" in entries else caller.key_place("if")
            entries["if"] = (ScalarNode(place, "if"), ScalarNode(place, condition))
        env = caller.by_key.get("env")
        self._budget.spend(len(condition) + characters_of(env))
        if isinstance(env, MapNode):
            own = {key.text: (key, value) for key, value in entries_of(step.by_key.get("env"))}
            merged = {**{key.text: (key, value) for key, value in env.entries}, **own}
            entries["env"] = (_scalar(step, "env"), env.with_entries(list(merged.values())))
        ignored = caller.by_key.get("continue-on-error")
        if ignored is not None and _text(step, "continue-on-error") in {"", "false"}:
            entries["continue-on-error"] = (_scalar(step, "continue-on-error"), ignored)
        return step.with_entries(list(entries.values()))


def _folder_of(called: Called) -> str:
    return f"{CHECKOUT}/{dirname(called.path)}".rstrip("/")


def _scalar(near: MapNode, text: str) -> ScalarNode:
    return ScalarNode(near.place, text)
