"""Repositories, as JSON."""

from typing import Annotated

from fastapi import Query

from web.api.router import make_router
from web.api.schemas import RepoSchema, RepoWithRun, repo_with_run
from web.operations.lookup import repo_named
from web.services import ServicesDep
from workers import store
from workers.db.session import reading

router = make_router()


@router.get("/repos")
def list_repos(
    services: ServicesDep,
    after: Annotated[str, Query(max_length=1000)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> list[RepoWithRun]:
    """Repositories by name, each with its newest run. ``after``: only those behind this name, for the next page."""
    with reading(services.engine) as session:
        repos = store.repos(session, after, limit)
        last = store.last_runs(session, repos)
        return [repo_with_run(repo, last.get(repo.id)) for repo in repos]


@router.get("/repos/{name:path}")
def get_repo(services: ServicesDep, name: str) -> RepoSchema:
    """A repository."""
    with reading(services.engine) as session:
        return RepoSchema.model_validate(repo_named(session, name))
