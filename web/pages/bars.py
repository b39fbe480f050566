"""The small diagram of a branch's last runs: a bar for each, as high as it took long."""

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.state import State
from workers.store.runs.branch_history import PastRun

BARS = 20
_WIDTH, _GAP = 5, 2
_HEIGHT_MIN, _HEIGHT_MAX = 5, 18
_MARK_TOP, _MARK_HEIGHT = 21, 3
_BOX_HEIGHT = _MARK_TOP + _MARK_HEIGHT
_WORDS = {
    State.PASSED: "passed",
    State.FAILED: "failed",
    State.BROKEN: "broken",
    State.CANCELED: "canceled",
    State.SKIPPED: "without steps",
    State.RUNNING: "running",
    State.QUEUED: "waiting",
}
_BAD = frozenset({State.FAILED, State.BROKEN})


def bars(runs: Sequence[PastRun]) -> Markup:
    """The diagram as SVG, with its figures as its name. Under each bar of a failed run there is a mark: no state is
    shown by colour alone.

    Made here and not in a template: there are a thousand bars on a page, and their values are numbers.
    """
    shown = list(runs)[-BARS:]
    longest_ms = max((run.took_ms or 0 for run in shown), default=0)
    paths: dict[str, list[str]] = {}
    for place, run in enumerate(shown, BARS - len(shown)):
        left, height = place * (_WIDTH + _GAP), _height(run, longest_ms)
        paths.setdefault(run.state.value, []).append(_rectangle(left, _HEIGHT_MAX + 1 - height, height))
        if run.state in _BAD:
            paths.setdefault("mark", []).append(_rectangle(left, _MARK_TOP, _MARK_HEIGHT))
    drawn = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(name, "".join(parts)) for name, parts in paths.items()
    )
    box = f"0 0 {BARS * (_WIDTH + _GAP) - _GAP} {_BOX_HEIGHT}"
    return Markup('<svg class="bars" viewBox="{}" role="img" aria-label="{}">{}</svg>').format(
        box, in_words(shown), drawn
    )


def in_words(runs: Sequence[PastRun]) -> str:
    """``Last 20 runs: 17 passed, 3 failed``."""
    counts = {word: sum(run.state is state for run in runs) for state, word in _WORDS.items()}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    if len(runs) > 1:
        return f"Last {len(runs)} runs: {said}"
    return f"One run: {said.partition(' ')[2]}" if runs else "No runs"


def _height(run: PastRun, longest_ms: int) -> int:
    if run.took_ms is None or not longest_ms:
        return _HEIGHT_MIN
    return _HEIGHT_MIN + round((_HEIGHT_MAX - _HEIGHT_MIN) * run.took_ms / longest_ms)


def _rectangle(left: int, top: int, height: int) -> str:
    return f"M{left} {top}h{_WIDTH}v{height}h-{_WIDTH}z"
