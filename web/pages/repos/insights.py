"""The insights of a branch as a page."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from web.operations.repos.insights import RUNS_IN_DETAIL_MAX, insights
from web.pages.bars import in_words
from web.pages.filters import duration
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from web.urls import run_path
from workers.store.runs.branch_history import PastRun

_BAR, _GAP, _HEIGHT, _MARK = 7, 2, 100, 6
_BARS_MIN = 40

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/insights")
def insights_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    branch: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """How often and how fast the runs of a branch pass, and what makes them slow or unreliable."""
    found = insights(services, user, name, branch.strip())
    return page(
        request,
        "insights.html",
        user=user,
        repo=found.repo,
        found=found,
        chart=durations(found.repo.name, found.runs),
        in_detail=RUNS_IN_DETAIL_MAX,
    )


def durations(repo: str, shown: Sequence[PastRun]) -> Markup:
    """The lengths of the runs as bars that link to them. Those that failed have a mark, not only a color."""
    longest = max((run.took_ms or 0 for run in shown), default=0) or 1
    drawn = Markup("").join(_bar(repo, run, place * (_BAR + _GAP), longest) for place, run in enumerate(shown))
    box = f"0 0 {max(_BARS_MIN, len(shown)) * (_BAR + _GAP)} {_HEIGHT + 2 * _MARK}"
    return Markup(
        '<svg class="durations" viewBox="{}" preserveAspectRatio="xMinYMid" role="group" aria-label="{}">{}</svg>'
    ).format(box, in_words(shown), drawn)


def _bar(repo: str, run: PastRun, left: int, longest_ms: int) -> Markup:
    height = max(2, _HEIGHT * (run.took_ms or 0) // longest_ms)
    mark: Markup | str = ""
    if run.state.value in {"failed", "broken"}:
        mark = Markup('<rect class="mark" x="{}" y="{}" width="{}" height="{}"/>').format(
            left, _HEIGHT + _MARK // 2, _BAR, _MARK
        )
    words = f"#{run.number}: {run.state.value}{', ' + duration(run.took_ms) if run.took_ms is not None else ''}"
    return Markup(
        '<a href="{}" aria-label="{}"><title>{}</title>'
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>{}</a>'
    ).format(
        run_path(repo, run.number), words, words, run.state.value, left, _HEIGHT - height, _BAR, height, mark
    )  # fmt: skip
