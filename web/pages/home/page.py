"""The front page: the repositories, those first that need attention, and the newest runs beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import StringConstraints
from sqlalchemy.orm import Session
from starlette.responses import Response

from web.pages.bars import BARS
from web.pages.home.first_steps import PIPELINE, PUSH
from web.pages.home.ranking import Attention, BranchHealth, health_of, ranked
from web.pages.refresh import front_page_version
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.models import Repo, Run
from workers.db.session import db_now_ms, reading
from workers.store.runs import branch_history
from workers.store.runs.branch_history import RepoName

RECENT_RUNS = 30
REPOS_ON_A_PAGE = 50
REPOS_RANKED_MAX = 200
"""So many repositories, those with the newest runs, are sorted by attention; the others follow by their newest run."""
PAGES_MAX = 10_000
SEARCH_CHARS_MAX = 200

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
Search = Annotated[str, StringConstraints(strip_whitespace=True), Query(max_length=SEARCH_CHARS_MAX)]


@dataclass(frozen=True)
class Row:
    """A repository as the page shows it. ``run`` is its default branch's newest, or (``elsewhere``) that of another."""

    repo: Repo
    health: BranchHealth
    run: Run | None
    elsewhere: bool


@dataclass(frozen=True)
class _Found:
    rows: list[Row]
    more: bool
    red: int
    running: int


@router.get("/")
def front_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    q: Search = "",
    number: Annotated[int, Query(alias="page", ge=1, le=PAGES_MAX)] = 1,
) -> Response:
    """The repositories whose name contains ``q``, a page of them, and the newest runs of all."""
    with reading(services.engine) as session:
        found = _found(session, user.viewer, q, number)
        count = branch_history.count_repos(session, user.viewer, q)
        recent = store.recent_runs(session, RECENT_RUNS, user.viewer)
        recent_idle = store.idle_runs(session, [run for run, _ in recent])
        idle = recent_idle | store.idle_runs(session, [row.run for row in found.rows if row.run])
        version, now = store.repos_version(session, user.viewer), db_now_ms(session)
    return page(
        request,
        "home.html",
        user=user,
        groups=[(key, list(rows)) for key, rows in groupby(found.rows, lambda row: row.health.attention)],
        groups_named={Attention.RED: "Needs attention", Attention.RUNNING: "In progress", Attention.QUIET: "Others"},
        count=count,
        counted=f"{count:,}{'+' if count == branch_history.COUNTED_MAX else ''}",
        red=found.red,
        running=found.running,
        recent=recent,
        idle=idle,
        q=q,
        number=number,
        more=found.more,
        pipeline=PIPELINE,
        push=PUSH,
        now=now,
        version=front_page_version(recent, version, recent_idle),
    )


def _found(session: Session, viewer: int | None, search: str, number: int) -> _Found:
    first, behind = (number - 1) * REPOS_ON_A_PAGE, number * REPOS_ON_A_PAGE
    candidates = branch_history.repos_by_activity(session, viewer, search, REPOS_RANKED_MAX + 1)
    names = candidates[:REPOS_RANKED_MAX]
    order = ranked(names, branch_history.last_numbers(session, names, BARS))
    attention = [kind for kind, _ in order]
    if behind <= REPOS_RANKED_MAX:
        shown, more = [repo for _, repo in order[first:behind]], len(candidates) > behind
    else:
        others = branch_history.repos_by_activity(session, viewer, search, REPOS_ON_A_PAGE + 1, first)
        shown, more = others[:REPOS_ON_A_PAGE], len(others) > REPOS_ON_A_PAGE
    return _Found(_rows(session, shown), more, attention.count(Attention.RED), attention.count(Attention.RUNNING))


def _rows(session: Session, shown: Sequence[RepoName]) -> list[Row]:
    histories = branch_history.histories(session, shown, BARS)
    health = {repo.id: health_of(histories.get(repo.id, ())) for repo in shown}
    repos = branch_history.repos_with_ids(session, health)
    newest = {repo_id: of_repo.newest.id for repo_id, of_repo in health.items() if of_repo.newest}
    runs = branch_history.runs_with_ids(session, newest.values())
    others = store.last_runs(session, [repo for repo in repos.values() if repo.id not in newest])
    rows = [
        Row(repos[repo_id], of_repo, runs.get(newest.get(repo_id, 0)) or others.get(repo_id), repo_id not in newest)
        for repo_id, of_repo in health.items()
        if repo_id in repos
    ]
    return sorted(rows, key=lambda row: row.health.attention)
