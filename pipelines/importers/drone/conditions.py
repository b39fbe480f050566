"""Conditions of Drone, ``when`` of a step and ``trigger`` of a pipeline, as ``when``."""

import re

from pipelines.importers.keys import Keys, entries_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.nodes import MapNode, Node
from pipelines.trigger import Event

_EVENTS = {"promote": "deployment", "rollback": "deployment", "custom": "manual"}
_ALL = ("push", "pull_request", "tag", "deployment", "cron", "manual")
_PATTERNS = ("branch", "ref", "repo", "instance", "platform")
_STATUSES = {"success": "success", "failure": "failure", "changed": "", "killed": "canceled"}
_ACTIONS = {"opened", "synchronize", "synchronized", "sync", "reopened", "open"}


def when_of(node: Node | None, remarks: Remarks, where: str) -> dict[str, Value]:
    """The condition; empty where it always holds."""
    keys = Keys(node, remarks, where)
    found: dict[str, Value] = {}
    if events := _events(keys):
        found["event"] = list[Value](events)
    _of_commit(keys, found)
    if statuses := _statuses(keys, remarks):
        found["status"] = list[Value](statuses)
    if condition := _target(keys.take("target") or keys.take("environment")):
        found["evaluate"] = condition
    if axes := keys.take("matrix"):
        found["matrix"] = {key.text: [Raw(text) for text in texts_of(value)] for key, value in entries_of(axes)}
    if keys.has("local"):
        found["local"] = keys.text("local").lower() == "true"
    keys.remark_rest()
    return found


def _of_commit(keys: Keys, found: dict[str, Value]) -> None:
    for key in _PATTERNS:
        if patterns := _patterns(keys.take(key)):
            found[key] = patterns
    if keys.has("instance"):
        keys.remarks.warning(keys.place("instance"), "'instance' is compared with the host of this server")
    if crons := _patterns(keys.take("cron")):
        found["cron"] = crons
        found.setdefault("event", ["cron"])
    if changed := _patterns(keys.take("paths")):
        found["path"] = changed


def _events(keys: Keys) -> list[str]:
    node = keys.take("event")
    if isinstance(node, MapNode):
        excluded = {_EVENTS.get(text, text) for text in texts_of(node.by_key.get("exclude"))}
        names = texts_of(node.by_key.get("include")) or [name for name in _ALL if name not in excluded]
    else:
        names = texts_of(node)
        excluded = set()
    events = list(dict.fromkeys(_EVENTS.get(name, name) for name in names))
    _closed(keys, events)
    known = [name for name in events if name in set(Event) and name not in excluded]
    for name in events:
        if name not in set(Event):
            keys.remarks.warning(keys.place("event"), f"there is no event '{name}'; it is left out")
    if node is not None and events and not known:
        keys.remarks.error(keys.place("event"), f"none of the events of {keys.where} is one here")
    return known


def _closed(keys: Keys, events: list[str]) -> None:
    """``action`` says which changes of a pull request count; ours are events of their own."""
    actions = texts_of(keys.take("action"))
    if "closed" in actions and "pull_request" in events:
        events.append("pull_request_closed")
        if not _ACTIONS.intersection(actions):
            events.remove("pull_request")
    if unknown := [action for action in actions if action not in _ACTIONS | {"closed"}]:
        keys.remarks.warning(keys.place("action"), f"the action '{unknown[0]}' starts nothing here")


def _patterns(node: Node | None) -> Value:
    if isinstance(node, MapNode):
        sides = {key: [Raw(text) for text in texts_of(node.by_key.get(key))] for key in ("include", "exclude")}
        return {key: list[Value](texts) for key, texts in sides.items() if texts}
    return [Raw(text) for text in texts_of(node)]


def _statuses(keys: Keys, remarks: Remarks) -> list[str]:
    node = keys.take("status")
    if isinstance(node, MapNode):
        excluded = texts_of(node.by_key.get("exclude"))
        both = [status for status in ("success", "failure") if status not in excluded]
        names = texts_of(node.by_key.get("include")) or both
    else:
        names = texts_of(node)
    found = [_STATUSES.get(name, "") for name in names]
    for name, ours in zip(names, found, strict=True):
        if not ours:
            remarks.warning(keys.place("status"), f"there is no status '{name}'; it is left out")
    return list(dict.fromkeys(name for name in found if name))


def _target(node: Node | None) -> Value:
    if node is None:
        return ""
    included = texts_of(node.by_key.get("include")) if isinstance(node, MapNode) else texts_of(node)
    excluded = texts_of(node.by_key.get("exclude")) if isinstance(node, MapNode) else []
    parts = []
    if included or not excluded:
        parts.append(f"CI_PIPELINE_DEPLOY_TARGET matches {_regex(included)}")
    if excluded:
        parts.append(f"not (CI_PIPELINE_DEPLOY_TARGET matches {_regex(excluded)})")
    return literal(" && ".join(parts))


def _regex(patterns: list[str]) -> str:
    """The patterns as one regular expression, in quotes. ``.`` is written ``[.]``: a text here has no backslashes."""
    either = "|".join("".join(_piece(part) for part in re.findall(r"[\w-]+|.", pattern)) for pattern in patterns)
    return f'"^({either})$"'


def _piece(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    return part if re.fullmatch(r"[\w-]+", part) else "" if part in {'"', "\\", "^", "]"} else f"[{part}]"
