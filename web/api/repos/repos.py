"""Repositories, as JSON."""

from typing import Annotated

from fastapi import Query

from web.api.schemas import RepoSchema, RepoWithRun, repo_with_run
from web.json_api import make_router
from web.operations.lookup import repo_named
from web.security.auth import CurrentUser
from web.services import ServicesDep
from workers import store
from workers.db.roles import Role
from workers.db.session import reading

router = make_router()


@router.get("/repos")
def list_repos(
    services: ServicesDep,
    user: CurrentUser,
    after: Annotated[str, Query(max_length=1000)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> list[RepoWithRun]:
    """The repositories that you see by name, each with its newest run. ``after``: those behind this name."""
    with reading(services.engine) as session:
        repos = store.repos(session, user.viewer, after, limit)
        last = store.last_runs(session, repos)
        return [repo_with_run(repo, last.get(repo.id)) for repo in repos]


@router.get("/repos/{name:path}")
def get_repo(services: ServicesDep, user: CurrentUser, name: str) -> RepoSchema:
    """A repository."""
    with reading(services.engine) as session:
        return RepoSchema.model_validate(repo_named(session, user, name, Role.READ))
