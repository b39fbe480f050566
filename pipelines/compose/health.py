"""``healthcheck`` of a Compose service."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.compose.report import Report, seconds_of, shown
from pipelines.syntax.nodes import ListNode, Node, ScalarNode

SECONDS_MIN = 60
SECONDS_MAX = 24 * 3600
_KEYS = ("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")
_INTERVAL_S, _TIMEOUT_S, _RETRIES = 30, 30, 3
_FORM = 'write test: ["CMD", "pg_isready"], or one text for a shell'
_TIME = "write for example 5s or 1m30s"


class Health(NamedTuple):
    """When a service is ready: ``words`` run in it end with 0; without any its image says it. None waits for nothing.

    ``seconds`` is how long it may take: the start period, and as many checks as may fail, but at least a minute.
    """

    words: tuple[str, ...] | None = ()
    seconds: int = SECONDS_MIN


def read_health(node: Node, label: str, report: Report) -> Health:
    """The check of a service. It is asked more often than its ``interval`` says, so that nothing waits needlessly."""
    what = f"'healthcheck' of {label}"
    fields = report.only(node, _KEYS, what)
    if "disable" in fields and report.flag(fields["disable"], f"'disable' in {what}"):
        return Health(None)
    words = _words(fields["test"], what, report) if "test" in fields else ()
    interval, timeout = (
        _seconds(fields, "interval", _INTERVAL_S, what, report),
        _seconds(fields, "timeout", _TIMEOUT_S, what, report),
    )
    seconds = _seconds(fields, "start_period", 0, what, report)
    _seconds(fields, "start_interval", 0, what, report)
    tries = _RETRIES
    if "retries" in fields:
        text = report.text(fields["retries"], f"'retries' in {what}")
        if re.fullmatch(r"[0-9]{1,5}", text):
            tries = int(text)
        else:
            report.error(fields["retries"].place, f"'retries' in {what} is not a number below 100000", "write digits")
    seconds += tries * (interval + timeout)
    return Health(words, min(max(seconds, SECONDS_MIN), SECONDS_MAX))


def _seconds(fields: Mapping[str, Node], key: str, default: int, what: str, report: Report) -> int:
    if key not in fields:
        return default
    text = report.text(fields[key], f"'{key}' in {what}")
    found = seconds_of(text)
    if found is None:
        report.error(fields[key].place, f"'{key}' in {what} is not a time: '{shown(text)}'", _TIME)
    return found or 0


def _words(node: Node, what: str, report: Report) -> tuple[str, ...] | None:
    if isinstance(node, ScalarNode):
        return ("/bin/sh", "-c", node.text)
    kind, *words = [word.text for word in report.words(node, f"'test' in {what}")] or [""]
    match kind:
        case "NONE":
            return None
        case "CMD" if words:
            return tuple(words)
        case "CMD-SHELL" if len(words) == 1:
            return ("/bin/sh", "-c", *words)
        case _:
            if isinstance(node, ListNode):
                report.error(node.place, f"'test' in {what} begins with CMD, CMD-SHELL or NONE", _FORM)
            return ()
