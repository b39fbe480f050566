"""Repositories, as JSON."""

from web.api.router import make_router
from web.api.schemas import RepoSchema, RepoWithRun, repo_with_run
from web.operations.lookup import repo_named
from web.security.auth import CurrentUser
from web.services import ServicesDep
from workers import store
from workers.db.roles import Role
from workers.db.session import reading

router = make_router()


@router.get("/repos")
def list_repos(services: ServicesDep, user: CurrentUser) -> list[RepoWithRun]:
    """The repositories that you see by name, each with its newest run."""
    with reading(services.engine) as session:
        last = store.last_runs(session, user.viewer)
        return [repo_with_run(repo, last.get(repo.id)) for repo in store.repos(session, user.viewer)]


@router.get("/repos/{name:path}")
def get_repo(services: ServicesDep, user: CurrentUser, name: str) -> RepoSchema:
    """A repository."""
    with reading(services.engine) as session:
        return RepoSchema.model_validate(repo_named(session, user, name, Role.READ))
