"""Template filters: how times, sizes and states read on a page. Pure functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipelines.state import State
from pipelines.trigger import SENT_TREE_REFS
from web.operations.artifacts.viewing import has_view
from web.urls import commit_url, forge_url, repo_path, run_path

_SECOND_MS = 1000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_KIBI = 1024


@dataclass(frozen=True)
class StateDisplay:
    """How pages show a state: its word, and the name of its icon."""

    word: str
    icon: str


_STATE_DISPLAYS: Mapping[State, StateDisplay] = {
    State.QUEUED: StateDisplay("Waiting", "queued"),
    State.RUNNING: StateDisplay("Running", "running"),
    State.PASSED: StateDisplay("Passed", "passed"),
    State.FAILED: StateDisplay("Failed", "failed"),
    State.BROKEN: StateDisplay("Broken", "broken"),
    State.CANCELED: StateDisplay("Canceled", "canceled"),
    State.SKIPPED: StateDisplay("Skipped", "skipped"),
}


_RUN_WITHOUT_STEPS = StateDisplay("Nothing ran", "skipped")


def state_display(state: State) -> StateDisplay:
    """The word and the icon of the state of a job or a step."""
    return _STATE_DISPLAYS[state]


def run_display(state: State) -> StateDisplay:
    """The word and the icon of the state of a run."""
    return _RUN_WITHOUT_STEPS if state == State.SKIPPED else _STATE_DISPLAYS[state]


def duration(milliseconds: int | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 07 min``; nothing for None."""
    if milliseconds is None:
        return ""
    seconds = max(0, milliseconds) / _SECOND_MS
    if seconds < 10:  # noqa: PLR2004 - a tenth matters only in short times
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02d} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} min"


def elapsed(started_ms: int | None, finished_ms: int | None, now_ms: int) -> str:
    """How long something took, or has taken until now."""
    return "" if started_ms is None else duration((now_ms if finished_ms is None else finished_ms) - started_ms)


def about(milliseconds: int) -> str:
    """An estimate: ``less than a minute``, ``about 3 min``, ``about 2 h 10 min``."""
    minutes = max(0, milliseconds) // (_SECOND_MS * _MINUTE_S)
    if not minutes:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest:02} min" if hours else f"about {rest} min"


def ago(moment_ms: int, now_ms: int) -> str:
    """``just now``, ``5 minutes ago``, ``2 days ago``; after 30 days the date."""
    seconds = max(0, now_ms - moment_ms) // _SECOND_MS
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return _units_ago(seconds // _MINUTE_S, "minute")
    if seconds < _DAY_S:
        return _units_ago(seconds // _HOUR_S, "hour")
    if seconds < 30 * _DAY_S:
        return _units_ago(seconds // _DAY_S, "day")
    return iso(moment_ms)[:10]


def _units_ago(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} ago"


def iso(moment_ms: int) -> str:
    """The moment in UTC, in the format of ``<time datetime>``."""
    return datetime.fromtimestamp(moment_ms / _SECOND_MS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(moment_ms: int, zone: str) -> str:
    """The moment as clocks in ``zone`` show it: ``Wed 25 Nov 2026 02:30 CET``."""
    return datetime.fromtimestamp(moment_ms / _SECOND_MS, ZoneInfo(zone)).strftime("%a %d %b %Y %H:%M %Z")


def size(count_bytes: int) -> str:
    """``812 B``, ``14.2 MB``."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < _KIBI:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIBI
    return f"{value:.1f} TB"


def short_sha(sha: str) -> str:
    """The first digits of a commit's id."""
    return sha[:8]


def ref_name(ref: str) -> str:
    """``main`` of ``refs/heads/main``. A sent tree has no name."""
    if ref.startswith(SENT_TREE_REFS):
        return "uncommitted tree"
    for prefix in ("refs/heads/", "refs/tags/", "refs/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref


_PULL_REQUEST = re.compile(r"refs/(?:pull|merge-requests|pull-requests)/([0-9]{1,18})/[a-z]{1,20}")


def ref_words(ref: str) -> str:
    """``main``, ``tag v1`` or ``pull request 7``."""
    if found := _PULL_REQUEST.fullmatch(ref):
        return f"pull request {found[1]}"
    return f"tag {ref_name(ref)}" if ref.startswith("refs/tags/") else ref_name(ref)


_BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari")  # Edge and Opera also say Chrome, and Chrome says Safari
_BROWSER_NAMES = {"Edg": "Edge", "OPR": "Opera"}
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
_SHOWN_CHARS_MAX = 40


def browser(user_agent: str) -> str:
    """``Firefox on Linux``, from what a browser says it is; of unknown programs the beginning of that."""
    name = next((each for each in _BROWSERS if f"{each}/" in user_agent), "")
    system = next((each for each in _SYSTEMS if each in user_agent), "")
    if not name:
        return user_agent[:_SHOWN_CHARS_MAX]
    known = _BROWSER_NAMES.get(name, name)
    return f"{known} on {system}" if system else known


FILTERS: Mapping[str, Callable[..., object]] = {
    "state_display": state_display,
    "run_display": run_display,
    "duration": duration,
    "about": about,
    "ago": ago,
    "iso": iso,
    "clock": clock,
    "size": size,
    "browser": browser,
    "has_view": has_view,
    "short_sha": short_sha,
    "ref_name": ref_name,
    "ref_words": ref_words,
    "repo_path": repo_path,
    "forge_url": forge_url,
    "commit_url": commit_url,
}
GLOBALS: Mapping[str, Callable[..., object]] = {"elapsed": elapsed, "run_path": run_path}
