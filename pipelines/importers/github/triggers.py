"""``on`` of a workflow as conditions, and a job's ``if`` within them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.importers.github.expressions.folding import fold
from pipelines.importers.github.expressions.names import input_name
from pipelines.importers.github.expressions.parser import Call, Lit, Op, Ref, Tree, UnreadableError
from pipelines.importers.github.expressions.statuses import ResultsError, Statuses, by_status
from pipelines.importers.github.expressions.texts import Texts, condition_of, evaluate
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

Condition = dict[str, Value]

_EVENTS = {
    "release": "release", "deployment": "deployment", "repository_dispatch": "manual", "workflow_dispatch": "manual",
    "schedule": "cron", "pull_request": "pull_request", "pull_request_target": "pull_request",
}  # fmt: skip
_NOTED = {
    "merge_group": "the event 'merge_group' (a queue of merges) has no counterpart; it is left out",
    "workflow_call": "'workflow_call' is left out: the workflows that call this one get its jobs",
}
_CLOSED = {"closed"}
_METADATA = {"labeled", "unlabeled", "edited", "assigned", "ready_for_review", "converted_to_draft", "unassigned"}
_NO_DEFAULTS: tuple[Value, ...] = ("", "false", False, 0)
_NOT_GLOB = re.compile(r"[+?]")


class Triggers(NamedTuple):
    """The conditions of a file, each of one event, and its inputs."""

    conditions: list[Condition]
    inputs: dict[str, Value]
    input_names: frozenset[str]


def triggers_of(node: Node | None, remarks: Remarks) -> Triggers:
    """What starts the workflow."""
    entries = _entries(node)
    conditions: list[Condition] = []
    inputs: dict[str, Value] = {}
    names: list[str] = []
    for place, name, value in entries:
        keys = Keys(None if name == "schedule" else value, remarks, f"'{name}'")
        if name in {"workflow_dispatch", "workflow_call"}:
            declared = keys.take("inputs")
            names += [key.text.lower() for key, _ in entries_of(declared)]
            inputs |= _inputs(declared, remarks)
        if name == "push":
            conditions += _push(keys)
        elif name == "schedule":
            conditions.append({"event": "cron"})
            for item in items_of(value):
                text = text_of(item.by_key.get("cron")) if isinstance(item, MapNode) else ""
                remarks.warning(
                    item.place,
                    "the times of 'schedule' are not in the file here",
                    f'headway cron add NAME {name} "{text}"',
                )
            continue
        elif name in _EVENTS:
            conditions += _of_event(name, keys, place)
        elif name in _NOTED:
            remarks.note(place, _NOTED[name])
            continue
        else:
            remarks.error(place, f"the event '{name}' starts no run here; it is left out")
            continue
        keys.remark_rest()
    _remark_defaults(inputs, conditions, node, remarks)
    return Triggers(
        [each for number, each in enumerate(conditions) if each not in conditions[:number]], inputs, frozenset(names)
    )


def _entries(node: Node | None) -> list[tuple[Place, str, Node | None]]:
    if isinstance(node, MapNode):
        return [(key.place, key.text, value) for key, value in node.entries]
    return [(item.place, text_of(item), None) for item in items_of(node)]


def _push(keys: Keys) -> list[Condition]:
    branches, tags, paths = (_patterns(keys, name) for name in ("branches", "tags", "paths"))
    found: list[Condition] = []
    if branches or not tags:
        branch: Condition = {"event": "push"}
        found.append({**branch, **_of_names(branches, "branch"), **({"path": _glob(paths)} if paths else {})})
    if tags or not branches:
        found.append({"event": "tag", **_of_names(tags, "tag")})
    return found


def _of_event(name: str, keys: Keys, place: Place) -> list[Condition]:
    types = set(texts_of(keys.take("types")))
    if name not in {"pull_request", "pull_request_target"}:
        return [{"event": _EVENTS[name]}]
    if name == "pull_request_target":
        text = "here runs of forks get no secrets, and run the files of their own commit, unlike 'pull_request_target'"
        keys.remarks.warning(place, text)
    events = ["pull_request"] if not types or types - _CLOSED - _METADATA else []
    events += ["pull_request_closed"] * bool(types & _CLOSED) + ["pull_request_metadata"] * bool(types & _METADATA)
    branches, paths = _patterns(keys, "branches"), _patterns(keys, "paths")
    shared = {**_of_names(branches, "branch"), **({"path": _glob(paths)} if paths else {})}
    return [{"event": event, **shared} for event in events]


class _Patterns(NamedTuple):
    wanted: list[str]
    unwanted: list[str]

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)


def _patterns(keys: Keys, name: str) -> _Patterns:
    texts = texts_of(keys.take(name))
    ignored = texts_of(keys.take(f"{name}-ignore"))
    unwanted = [text[1:] for text in texts if text.startswith("!")]
    return _Patterns([text for text in texts if not text.startswith("!")], [*unwanted, *ignored])


def _glob(patterns: _Patterns) -> Value:
    wanted, unwanted = ([literal(text) for text in texts] for texts in patterns)
    if not unwanted:
        return list[Value](wanted)
    return {**({"include": list[Value](wanted)} if wanted else {}), "exclude": list[Value](unwanted)}


def _of_names(patterns: _Patterns, kind: str) -> Condition:
    """A condition of branches or tags: patterns where they mean the same here, else an expression."""
    if not patterns or patterns == _Patterns(["**"], []):
        return {}
    if any(_NOT_GLOB.search(text) for text in (*patterns.wanted, *patterns.unwanted)):
        operand = "CI_COMMIT_TAG" if kind == "tag" else "CI_COMMIT_BRANCH"
        tests = [f'{operand} matches "{_regex(text)}"' for text in patterns.wanted]
        wanted = f"({' || '.join(tests)})" if len(tests) > 1 else "".join(tests)
        nots = [f'not ({operand} matches "{_regex(text)}")' for text in patterns.unwanted]
        return {"evaluate": literal(" && ".join([*([wanted] if wanted else []), *nots]))}
    if kind == "branch":
        return {"branch": _glob(patterns)}
    return {"ref": _glob(_Patterns(*([f"refs/tags/{text}" for text in texts] for texts in patterns)))}


def _regex(pattern: str) -> str:
    """A pattern of GitHub as a regular expression without backslashes."""
    parts = re.findall(r"\*\*/?|\*|\[[^\]]*\]|.", pattern)
    signs = {"**": ".*", "**/": "(.*/)?", "*": "[^/]*", "?": "?", "+": "+", '"': ".", "\\": ""}
    texts = (
        signs.get(part, part if len(part) > 1 or part.isalnum() or part in "-_/" else f"[{part}]") for part in parts
    )
    return f"^{''.join(texts)}$"


def _remark_defaults(
    inputs: dict[str, Value], conditions: list[Condition], node: Node | None, remarks: Remarks
) -> None:
    """A remark where a run of another event has a default, which is empty at GitHub."""
    others = [str(each["event"]) for each in conditions if each["event"] != "manual"]
    names = [
        name for name, each in inputs.items() if isinstance(each, dict) and each.get("default", "") not in _NO_DEFAULTS
    ]
    if others and names and node is not None:
        text = f"the input {names[0]} has its default in runs for '{others[0]}' too, where it is empty at GitHub"
        remarks.warning(node.place, text)


def _inputs(node: Node | None, remarks: Remarks) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in entries_of(node):
        keys = Keys(value, remarks, f"the input '{key.text}'")
        kind, default = keys.text("type"), keys.take("default")
        declared: dict[str, Value] = {"type": kind} if kind in {"boolean", "number", "choice"} else {}
        if choices := texts_of(keys.take("options")):
            declared["choices"] = [literal(text) for text in choices]
        if isinstance(default, ScalarNode) and "${{" not in default.text:
            number = default.value
            declared["default"] = (
                number if isinstance(number, bool | int) and kind in {"boolean", "number"} else literal(default.text)
            )
        if keys.text("required") == "true" and "default" not in declared:
            declared["required"] = True
        if description := keys.text("description"):
            declared["description"] = literal(" ".join(description.split()))
        keys.take("deprecationMessage")
        keys.remark_rest()
        found[input_name(key.text)] = declared or {"type": "string"}
    return found


def with_if(
    conditions: Sequence[Condition], text: str, place: Place, texts: Texts, where: str
) -> list[Condition] | None:
    """The conditions, each with what ``if`` adds to it; None if it holds for none of them."""
    try:
        groups = by_status(condition_of(text), texts.names)
        found = [each for group in groups for condition in conditions for each in _with_group(condition, group, texts)]
    except ResultsError as error:
        texts.remarks.error(place, f"the condition of {where} asks for {error}, which no condition can here")
        return None
    except UnreadableError as error:
        texts.remarks.error(place, f"the condition of {where} cannot be taken over, for '{error}'; it is left out")
        return list(conditions)
    return found or None


def _with_group(condition: Condition, group: Statuses, texts: Texts) -> list[Condition]:
    found = _with_tree(condition, group.tree, texts)
    if group.statuses == ("success",) and not (group.named and texts.names.after_failure):
        return found
    return [{**each, "status": list[Value](group.statuses)} for each in found]


def _with_tree(condition: Condition, tree: Tree, texts: Texts) -> list[Condition]:
    rest = fold(tree, str(condition["event"]), texts.names)
    if isinstance(rest, Lit):
        return [condition] if rest.holds else []
    found = dict(condition)
    for part in _parts(rest):
        simple = _simple(part)
        if any(found.get(key) in (value, [value]) for key, value in simple.items()):
            continue
        if simple and not simple.keys() & found.keys():
            found |= simple
            continue
        test = literal(evaluate(part, texts))
        if isinstance(part, Op) and part.sign == "||":
            test = Raw(f"({test})")
        before = str(found.get("evaluate", ""))
        if test not in before.split(" && "):
            found["evaluate"] = Raw(f"{before} && {test}" if before else test)
    return [found]


def _parts(tree: Tree) -> list[Tree]:
    if isinstance(tree, Op) and tree.sign == "&&":
        return [*_parts(tree.left), *_parts(tree.right)]
    return [tree]


def _simple(tree: Tree) -> Condition:
    """A comparison with a branch or tag without an expression."""
    match tree:
        case Op("==", Ref(("github", "ref")), Lit(text)) if text.startswith("refs/heads/"):
            return {"branch": literal(text.removeprefix("refs/heads/"))}
        case Op("==", Ref(("github", "ref")), Lit(text)):
            return {"ref": literal(text)}
        case Call("startswith", (Ref(("github", "ref")), Lit(text))):
            return {"ref": literal(f"{text}**")}
        case _:
            return {}


def merged(conditions: Sequence[Condition]) -> Value:
    """The conditions; those that differ in their event alone are one."""
    groups: list[tuple[Condition, list[Value]]] = []
    for condition in conditions:
        rest = {key: value for key, value in condition.items() if key != "event"}
        group = next((events for known, events in groups if known == rest), None)
        if group is None:
            groups.append((rest, [condition["event"]]))
        else:
            group.append(condition["event"])
    found: list[Value] = [{"event": events, **rest} for rest, events in groups]
    return found[0] if len(found) == 1 else found
