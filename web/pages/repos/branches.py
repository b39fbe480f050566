"""The branches, tags and pull requests of a repository that had runs lately."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.operations.lookup import repo_named
from web.pages.bars import BARS
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.models import Run
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.store.runs.branch_history import PastRun, runs_with_ids
from workers.store.runs.refs import histories_of_refs, recent_refs

REFS_SHOWN_MAX = 40

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@dataclass(frozen=True)
class Row:
    """A ref with its newest run, and the last ones before it."""

    ref: str
    run: Run
    history: list[PastRun]


@router.get("/repos/{name:path}/branches")
def branches_page(request: Request, services: ServicesDep, user: CurrentUser, name: str) -> Response:
    """Each with the state of its newest run and a bar of its last ones; the default branch first."""
    with reading(services.engine) as session:
        repo = repo_named(session, user, name, Role.READ)
        default = f"refs/heads/{repo.default_branch}"
        refs = [ref for ref, _ in recent_refs(session, repo.id, REFS_SHOWN_MAX)]
        histories = histories_of_refs(session, repo.id, dict.fromkeys([default, *refs]), BARS)
        newest = {ref: runs[-1].id for ref, runs in histories.items() if runs}
        runs = runs_with_ids(session, newest.values())
        idle = store.idle_runs(session, list(runs.values()))
        now = db_now_ms(session)
    rows = [Row(ref, runs[run_id], histories[ref]) for ref, run_id in newest.items() if run_id in runs]
    return page(request, "branches.html", user=user, repo=repo, rows=rows, idle=idle, now=now)
