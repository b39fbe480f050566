"""``rules``, ``only`` and ``except`` of GitLab CI as conditions, and when a job runs."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.importers.gitlab.expressions import SOURCES, UnreadableError, expression
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

Condition = dict[str, Value]

_BRANCHES: Value = ["push", "cron", "manual"]
WITHOUT_RULES: Condition = {"event": ["push", "tag", "cron", "manual"]}
"""A job without rules runs for branches and tags, and not for merge requests."""

_STATUSES: Mapping[str, Sequence[str]] = {"on_failure": ("failure",), "always": ("success", "failure")}
_REFS: Mapping[str, Sequence[str]] = {
    "tags": ("tag",),
    "merge_requests": ("pull_request",),
    "external_pull_requests": ("pull_request",),
    "schedules": ("cron",),
    "web": ("manual",),
    "api": ("manual",),
    "triggers": ("manual",),
    "pipelines": ("manual",),
    "chat": ("manual",),
    "pushes": ("push", "tag"),
}


class When(NamedTuple):
    """When a job runs: for one of the conditions (none of them means always), ``manual`` if a person starts it.

    ``allow_failure`` is what rules say of it.
    """

    conditions: list[Condition]
    manual: bool = False
    never: bool = False
    allow_failure: bool = False


def when_of(job: Keys, own: Mapping[str, str], remarks: Remarks) -> When:
    """The conditions of a job."""
    word = job.text("when")
    if job.has("start_in"):
        job.take("start_in")
        remarks.warning(job.place("start_in"), f"'start_in' of {job.where} has no counterpart; it starts at once")
    rules = job.take("rules")
    if rules is not None:
        found = _of_rules(rules, job, own, remarks)
    elif job.has("only") or job.has("except"):
        found = When(_of_refs(job, own, remarks))
    else:
        found = When([dict(WITHOUT_RULES)])
    if word in _STATUSES:
        for condition in found.conditions:
            condition.setdefault("status", list[Value](_STATUSES[word]))
    return found._replace(manual=found.manual or word == "manual", never=found.never or word == "never")


def _of_rules(rules: Node, job: Keys, own: Mapping[str, str], remarks: Remarks) -> When:
    """Rules count in their order: the first that holds decides."""
    conditions: list[Condition] = []
    negated: list[str] = []
    manual = ignored = 0
    for item in _flat(rules):
        keys = Keys(item, remarks, f"a rule of {job.where}")
        condition, test = _of_rule(keys, own, remarks)
        word = keys.text("when")
        allowed = keys.text("allow_failure") == "true"
        keys.remark_rest()
        if condition is None:
            continue
        always = not test and not condition.get("path")
        if word == "never" and not always:
            _negate(condition, test, negated, keys)
        elif word != "never":
            manual, ignored = manual + (word == "manual"), ignored + allowed
            conditions.append(_joined(condition, test, negated, _STATUSES.get(word, ())))
        if always:
            break
    everything = bool(conditions) and manual == len(conditions)
    if manual and not everything:
        remarks.warning(rules.place, f"some rules of {job.where} are manual; here it starts by itself for them too")
    return When(conditions, everything, not conditions, ignored > 0)


def _flat(rules: Node) -> list[Node]:
    return [each for item in items_of(rules) for each in (items_of(item) if isinstance(item, ListNode) else (item,))]


def _negate(condition: Condition, test: str, negated: list[str], keys: Keys) -> None:
    if condition.get("path"):
        keys.remarks.warning(keys.place("when"), f"'when: never' for changed files of {keys.where} is left out")
    else:
        negated.append(f"!({test})")


def _joined(condition: Condition, test: str, negated: Sequence[str], statuses: Sequence[str]) -> Condition:
    """The condition, where none of the earlier rules that say never holds."""
    found = condition
    if negated:
        whole = " && ".join([*negated, *([f"({test})"] if test else [])])
        found = {**{key: value for key, value in condition.items() if key == "path"}, "evaluate": literal(whole)}
    return {**found, "status": list[Value](statuses)} if statuses else found


def _of_rule(keys: Keys, own: Mapping[str, str], remarks: Remarks) -> tuple[Condition | None, str]:
    """The condition of a rule and the same as an expression, empty if it always holds."""
    condition: Condition = {}
    test = ""
    text = keys.text("if")
    if text:
        try:
            test = expression(text, own)
        except UnreadableError as error:
            remarks.error(
                keys.place("if"), f"the condition {text} cannot be taken over, for '{error}'; its rule is left out"
            )
            return None, ""
        condition = _simple(text) or {"evaluate": literal(test)}
    changes = keys.take("changes")
    if changes is not None:
        paths = changes.by_key.get("paths") if isinstance(changes, MapNode) else changes
        condition["path"] = [Raw(path) for path in texts_of(paths)]
    if keys.take("exists") is not None:
        remarks.warning(keys.place("exists"), f"'exists' of {keys.where} has no counterpart; it counts as true")
    if keys.take("variables") is not None:
        remarks.warning(keys.place("variables"), f"'variables' of {keys.where} are left out")
    return condition, test


_SIMPLE = (
    (re.compile(r"\$CI_COMMIT_BRANCH == (?:\$CI_DEFAULT_BRANCH|[\"'](?P<name>[\w./-]+)[\"'])"), "branch"),
    (re.compile(r"\$CI_PIPELINE_SOURCE == [\"'](?P<name>\w+)[\"']"), "source"),
    (re.compile(r"\$CI_COMMIT_BRANCH"), "branches"),
    (re.compile(r"\$CI_COMMIT_TAG(?: != null)?"), "tags"),
    (re.compile(r"\$CI_MERGE_REQUEST_I?ID"), "merge_requests"),
)


def _simple(text: str) -> Condition:
    """The condition without an expression, for those that most files have; empty for others."""
    text = " ".join(text.split())
    for pattern, kind in _SIMPLE:
        if found := pattern.fullmatch(text):
            if kind == "branch":
                name = Raw(found["name"] or "${CI_REPO_DEFAULT_BRANCH}")
                return {"event": _BRANCHES, "branch": [name]}
            if kind == "source":
                return {"event": list[Value](SOURCES[found["name"]])} if found["name"] in SOURCES else {}
            events: dict[str, Value] = {"branches": _BRANCHES, "tags": ["tag"], "merge_requests": ["pull_request"]}
            return {"event": events[kind]}
    return {}


def _of_refs(job: Keys, own: Mapping[str, str], remarks: Remarks) -> list[Condition]:
    """Conditions of ``only``, each without what ``except`` names."""
    only, other = job.take("only"), job.take("except")
    conditions = _only(only) or [dict(WITHOUT_RULES)]
    shared: Condition = {}
    for key, value in entries_of(only):
        if key.text == "changes":
            shared["path"] = [Raw(path) for path in texts_of(value)]
        elif key.text == "variables":
            shared |= _variables(value, own, remarks, "")
        elif key.text == "kubernetes":
            remarks.warning(key.place, f"'kubernetes' of {job.where} has no counterpart; it is left out")
    tests = [_test_of(ref) for ref in _refs(other)]
    if tests:
        before = f"({shared['evaluate']}) && " if "evaluate" in shared else ""
        shared["evaluate"] = literal(f"{before}!({' || '.join(tests)})")
    if isinstance(other, MapNode) and other.by_key.keys() - {"refs"}:
        remarks.warning(other.place, f"'except' of {job.where} for anything but branches and tags is left out")
    return [{**condition, **shared} for condition in conditions]


def _variables(node: Node, own: Mapping[str, str], remarks: Remarks, before: str) -> Condition:
    try:
        tests = [f"({expression(text, own)})" for text in texts_of(node)]
    except UnreadableError as error:
        remarks.error(node.place, f"a condition cannot be taken over, for '{error}'; it is left out")
        return {}
    return {"evaluate": literal(before + " || ".join(tests))}


def _refs(node: Node | None) -> list[str]:
    if isinstance(node, MapNode):
        return texts_of(node.by_key.get("refs"))
    return texts_of(node) if isinstance(node, ListNode | ScalarNode) else []


def _only(node: Node | None) -> list[Condition]:
    found: list[Condition] = []
    names: list[Value] = []
    events: list[Value] = []
    for ref in _refs(node):
        name = ref.partition("@")[0]
        if name in _REFS:
            events += [event for event in _REFS[name] if event not in events]
        elif name == "branches":
            found.append({"event": _BRANCHES})
        elif name.startswith("/"):
            found.append({"evaluate": literal(_test_of(name))})
        else:
            names.append(Raw("${CI_REPO_DEFAULT_BRANCH}") if name == "$CI_DEFAULT_BRANCH" else literal(name))
    if names:
        found.insert(0, {"event": _BRANCHES, "branch": names})
    if events:
        found.append({"event": events})
    return found


def _test_of(ref: str) -> str:
    name = ref.partition("@")[0]
    if name in _REFS:
        return f"CI_PIPELINE_EVENT in [{', '.join(chr(34) + event + chr(34) for event in _REFS[name])}]"
    if name == "branches":
        return '(CI_COMMIT_TAG == "" && CI_PIPELINE_EVENT != "pull_request")'
    try:
        if name.startswith("/"):
            return expression(f"$CI_COMMIT_REF_NAME =~ {name}", {})
        return expression(f'$CI_COMMIT_REF_NAME == "{name}"', {})
    except UnreadableError:
        return "false"


def text_values(node: Node | None) -> dict[str, str]:
    """Variables of the file: a text, or a map with ``value``."""
    return {
        key.text: text_of(value.by_key.get("value")) if isinstance(value, MapNode) else text_of(value)
        for key, value in entries_of(node)
    }
