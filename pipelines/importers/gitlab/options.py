"""Caches, artifacts, reports, times and retries of GitLab CI."""

import re

from pipelines.importers.gitlab.variables import Variables
from pipelines.importers.keys import Keys, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 2592000, "y": 31536000}
_TIME = re.compile(r"(\d+)\s*(mo|[smhdwy])?[a-z]*", re.IGNORECASE)
_WHEN = {"on_success": "success", "on_failure": "failure", "always": "always"}
_REPORTS = {"junit": "junit", "coverage_report": "coverage", "cobertura": "coverage"}


def seconds(text: str) -> int:
    """A time such as ``1h 30m``, ``2 weeks`` or ``90``; 0 if it is none."""
    found = _TIME.findall(text.lower())
    if not found or _TIME.sub("", text.lower()).strip(" ,and"):
        return 0
    return sum(int(number[:9]) * _UNITS[unit or "s"] for number, unit in found)


def add_times(job: Keys, step: dict[str, Value], remarks: Remarks) -> None:
    """``timeout`` and ``retry``."""
    if text := job.text("timeout"):
        if time_s := seconds(text):
            step["timeout"] = f"{time_s}s" if time_s % 60 else f"{time_s // 60}m"
        else:
            remarks.warning(job.place("timeout"), f"'timeout' of {job.where} is no time; it is left out")
    retry = job.take("retry")
    if isinstance(retry, MapNode):
        keys = Keys(retry, remarks, f"'retry' of {job.where}")
        attempts = keys.take("max")
        if keys.take("when") or keys.take("exit_codes"):
            remarks.note(retry.place, f"{job.where} runs again after every failure")
        keys.remark_rest()
        retry = attempts
    number = retry.value if isinstance(retry, ScalarNode) else 0
    if isinstance(number, int) and number > 0:
        step["retry"] = number


def add_caches(node: Node | None, step: dict[str, Value], variables: Variables, remarks: Remarks, where: str) -> None:
    """``cache``: one, or a list."""
    found: list[Value] = []
    for item in items_of(node):
        keys = Keys(item, remarks, f"'cache' of {where}")
        paths: list[Value] = [variables.text(text.rstrip("/"), item.place) for text in texts_of(keys.take("paths"))]
        key = _key(keys.take("key"), variables)
        for name in ("policy", "when", "unprotect", "untracked", "fallback_keys"):
            if keys.take(name) is not None and name in {"untracked", "fallback_keys"}:
                remarks.note(keys.place(name), f"'{name}' of {keys.where} is left out")
        keys.remark_rest()
        if globs := [path for path in paths if "*" in str(path)]:
            remarks.warning(item.place, f"a cache keeps folders, and no pattern such as {globs[0]}; it is left out")
            paths = [path for path in paths if path not in globs]
        if paths and key:
            found.append({"key": key, "paths": paths})
        else:
            found += paths
    if found:
        step["cache"] = found


def _key(node: Node | None, variables: Variables) -> str:
    if isinstance(node, MapNode):
        files = ", ".join(variables.text(text, node.place) for text in texts_of(node.by_key.get("files")))
        prefix = variables.text(text_of(node.by_key.get("prefix")), node.place)
        checksum = f"checksum({files})" if files else ""
        return Raw(f"{prefix}-{checksum}" if prefix and checksum else prefix + checksum)
    return variables.text(text_of(node), node.place) if node else ""


def add_artifacts(job: Keys, step: dict[str, Value], variables: Variables, remarks: Remarks) -> None:
    """``artifacts`` and the reports in them."""
    node = job.take("artifacts")
    keys = Keys(node, remarks, f"'artifacts' of {job.where}")
    made: dict[str, Value] = {}
    for name in ("paths", "exclude"):
        if patterns := [_pattern(text, variables, keys) for text in texts_of(keys.take(name))]:
            made[name] = list[Value](patterns)
    when = keys.text("when")
    if _WHEN.get(when, "success") != "success":
        made["when"] = _WHEN[when]
    expire = keys.text("expire_in")
    if time_s := seconds(expire):
        made["expire"] = f"{time_s // 86400}d" if time_s % 86400 == 0 else f"{max(time_s // 3600, 1)}h"
    for name in ("name", "expose_as", "public", "access"):
        keys.take(name)
    if keys.take("untracked") is not None:
        remarks.warning(keys.place("untracked"), f"'untracked' of {keys.where} has no counterpart: write 'paths'")
    reports = Keys(keys.take("reports"), remarks, f"'reports' of {job.where}")
    keys.remark_rest()
    if "paths" in made:
        step["artifacts"] = made["paths"] if made.keys() == {"paths"} else made
    _add_reports(reports, step, variables, remarks)


def _add_reports(reports: Keys, step: dict[str, Value], variables: Variables, remarks: Remarks) -> None:
    found: dict[str, Value] = {}
    for name, ours in _REPORTS.items():
        node = reports.take(name)
        paths = node.by_key.get("path") if isinstance(node, MapNode) else node
        if patterns := [_pattern(text, variables, reports) for text in texts_of(paths)]:
            found[ours] = list[Value](patterns)
    for key, _ in reports.rest():
        remarks.note(key.place, f"the report '{key.text}' of GitLab has no counterpart; it is left out")
    if found:
        step["reports"] = found


def _pattern(text: str, variables: Variables, keys: Keys) -> Raw:
    """A path from the checkout."""
    place = keys.node.place if keys.node else keys.place("")
    return Raw(variables.text(text, place).removeprefix("/headway/src/").removeprefix("./") or ".")
