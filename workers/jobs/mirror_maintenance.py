"""The bare mirrors on this machine: opened for a job, maintained while no job waits."""

from pathlib import Path

import structlog
from sqlalchemy import Engine as Database

from pipelines.context import RepoInfo
from runner.network.egress import EgressSettings
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GitLogin
from runner.source.git.reach import Reach
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_store import tidy_mirrors
from runner.source.other_repositories import OtherRepositories
from workers.db.session import reading
from workers.jobs.context import ClaimedJob
from workers.settings import Settings
from workers.store.jobs import leases

_log = structlog.get_logger()


def note_mirror(sentence: str) -> None:
    """Logs what had to be done about a mirror."""
    _log.warning("mirror maintenance", note=sentence)


def open_mirror(
    settings: Settings, company: EgressSettings, repo: RepoInfo, login: GitLogin | None, key: str
) -> Mirror:  # fmt: skip
    """The repository's mirror on this machine. Git fetches into it through the company's proxies, if there are any.

    ``key`` is the repository's random one: no other, also of another database, uses its mirror.
    """
    environment = company.git_environment(settings.ca_dir)
    reach = Reach(repo.clone_url, reaches_host=settings.steps_reach_host)
    mirror = Mirror(settings.mirrors_dir, repo.clone_url, login, note_mirror, environment, repo.name, key)
    return mirror.within(reach)


def open_others(settings: Settings, company: EgressSettings, job: ClaimedJob) -> OtherRepositories:
    """The other repositories that fragments of the job's run may come from."""
    environment = company.git_environment(settings.ca_dir)

    def open_one(url: str, login: GitLogin | None, foreign: ForeignServer) -> Mirror:
        # Apart for each repository, and what was fetched without a login from what a login opens.
        key = f"{job.run.repo_key} fragments {'with' if login else 'without'} login"
        return Mirror(settings.mirrors_dir, url, login, note_mirror, environment, url, key, foreign)

    reaches_host = settings.steps_reach_host or job.allowed.access.host.network
    return OtherRepositories(
        job.repo.clone_url, open_one, job.login, trusted=job.allowed.secrets, reaches_host=reaches_host
    )


def tidy(database: Database, mirrors: Path) -> None:
    """Maintains the mirrors, each once a day. Stops as soon as a job waits."""

    def job_waits() -> bool:
        with reading(database) as session:
            return leases.next_ready(session) is not None

    tidy_mirrors(mirrors, note_mirror, job_waits)
