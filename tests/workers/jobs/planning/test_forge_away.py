"""A forge that is away for a moment: the run waits with the reason, its slot is free, and it goes on by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.state import Reason, State
from runner.source.git.git import GitLogin
from tests.support.builders import push
from tests.support.git_server import DROP, PASSWORD, USER, GitServer, git_server
from tests.support.repos import Repo
from workers import store
from workers.db.models import Job, Run
from workers.db.session import now_ms, reading, transaction
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.process.connections import make_context
from workers.scheduler.delays import end_due_delays
from workers.secrets.vault import clone_place
from workers.settings import Settings
from workers.store import Queued

pytestmark = pytest.mark.engine

PIPELINE = "skip_clone: true\nsteps:\n  - {name: show, image: busybox, commands: [echo hello]}\n"
WITH_SUBMODULE = """\
clone: {git: {settings: {recursive: true}}}
steps:
  - {name: show, image: busybox, commands: [cat sub/inner]}
"""
AWAY = (503, {"Retry-After": "7"})


class Site:
    """A repository on a forge that speaks HTTP, and a worker."""

    def __init__(self, context: WorkerContext, folder: Path, server: GitServer) -> None:
        self.context, self.server = context, server
        self.repo = Repo(folder / "roof.git")
        self.repo_id = self.add("acme/roof", f"{server.url}/roof.git")

    def add(self, name: str, url: str) -> int:
        with transaction(self.context.database) as session:
            return store.add_repo(session, store.NewRepo(name, url)).id

    def queue(self, sha: str, repo_id: int = 0) -> Queued:
        with transaction(self.context.database) as session:
            return store.queue_run(session, repo_id or self.repo_id, push(sha=sha))

    def work(self, queued: Queued) -> Run:
        work(self.context, queued.job_id)
        with reading(self.context.database) as session:
            return session.get_one(Run, queued.run_id)

    def job(self, queued: Queued) -> Job:
        with reading(self.context.database) as session:
            return session.get_one(Job, queued.job_id)

    def end_pause(self) -> None:
        with transaction(self.context.database) as session:
            session.execute(update(Job).where(Job.not_before_ms.is_not(None)).values(not_before_ms=now_ms()))
        end_due_delays(self.context.database, lambda _: None)


@pytest.fixture
def site(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    context = make_context(settings)
    with git_server(tmp_path) as server:
        yield Site(context, tmp_path, server)
    context.database.dispose()
    context.engine().close()


@pytest.mark.parametrize("answer", [AWAY, DROP], ids=["503", "dropped"])
def test_a_run_waits_while_the_forge_is_away_and_another_one_has_its_slot(
    site: Site, tmp_path: Path, answer: str | tuple[int, dict[str, str]]
) -> None:
    sha = site.repo.commit({".headway.yml": PIPELINE})
    site.server.instead = [answer] * 50
    waiting = site.queue(sha)
    assert not site.work(waiting).state.final
    job = site.job(waiting)
    assert (job.state, job.lease_owner, job.delays) == (State.QUEUED, "", 1)
    assert job.delay_reason.startswith(f"cannot fetch from {site.server.url}/roof.git: 127.0.0.1 ")
    other = site.queue(sha, site.add("acme/other", site.repo.url))
    work(site.context, waiting.job_id)  # a wake-up that comes too early: the other job is claimed
    assert site.job(other).state is State.PASSED
    assert site.job(waiting).attempt == 1
    site.end_pause()
    assert not site.work(waiting).state.final
    assert site.job(waiting).delays == 2
    site.server.instead.clear()
    site.end_pause()
    assert site.work(waiting).state is State.PASSED
    assert site.job(waiting).delays == 0


def test_a_forge_that_stays_away_ends_the_run_with_its_own_words(site: Site) -> None:
    waiting = site.queue(site.repo.commit({".headway.yml": PIPELINE}))
    site.server.instead = [AWAY] * 50
    site.work(waiting)
    with transaction(site.context.database) as session:
        session.execute(update(Job).values(delayed_since_ms=now_ms() - 301_000))
    site.end_pause()
    run = site.work(waiting)
    assert (run.state, run.reason) == (State.BROKEN, Reason.CLONE_FAILED)
    assert "127.0.0.1 has a fault of its own: status 503; tried 2 times in 5 minutes; run this again" in run.sentence
    assert "error: 503" in site.job(waiting).detail


def test_a_submodule_whose_forge_is_away_makes_the_planned_job_wait(site: Site, tmp_path: Path) -> None:
    inner = Repo(tmp_path / "inner.git").commit({"inner": "of the submodule"})
    modules = '[submodule "sub"]\n\tpath = sub\n\turl = ../inner.git\n'
    sha = site.repo.commit({".headway.yml": WITH_SUBMODULE, ".gitmodules": modules, "sub+": inner})
    site.server.moved, site.server.redirect = {"/inner.git": "/nowhere"}, 503
    waiting = site.queue(sha)
    run = site.work(waiting)
    assert not run.state.final, run.sentence
    assert "cannot fetch the submodule sub from" in site.job(waiting).delay_reason
    with reading(site.context.database) as session:
        (step,) = store.steps_of_run(session, waiting.run_id)
        assert (step.state, step.message) == (State.QUEUED, "")
    site.server.moved.clear()
    site.end_pause()
    assert site.work(waiting).state is State.PASSED


def test_a_no_ends_the_run_at_once_and_shows_no_password(site: Site) -> None:
    wrong = GitLogin(USER, "wrong-5c1d")
    with transaction(site.context.database) as session:
        sealed = site.context.vault.seal(clone_place(site.repo_id), wrong.password)
        store.set_clone_login(session, site.repo_id, wrong.username, sealed)
    site.server.login = True
    queued = site.queue(site.repo.commit({".headway.yml": PIPELINE}))
    run = site.work(queued)
    assert (run.state, run.reason) == (State.BROKEN, Reason.CLONE_FAILED)
    assert run.sentence.endswith(
        "the forge does not accept the login of 'robot': it is wrong or has expired; "
        "`headway repo login acme/roof --username ACCOUNT` sets another"
    )
    assert (
        site.job(queued).detail == f"fatal: could not read Username for '{site.server.url}': terminal prompts disabled"
    )
    assert PASSWORD not in run.sentence


def test_a_repository_that_has_moved_runs_and_its_new_address_is_known(site: Site) -> None:
    sha = site.repo.commit({".headway.yml": PIPELINE})
    moved = site.add("acme/moved", f"{site.server.url}/old/roof.git")
    site.server.moved = {"/old/roof.git": "/roof.git"}
    assert site.work(site.queue(sha, moved)).state is State.PASSED
    with reading(site.context.database) as session:
        repo = store.repo_by_id(session, moved)
        assert repo is not None
        assert repo.moved_to == f"{site.server.url}/roof.git"
    with transaction(site.context.database) as session:
        store.set_addresses(session, moved, repo.moved_to, "")
    assert site.work(site.queue(sha, moved)).state is State.PASSED
    with reading(site.context.database) as session:
        again = store.repo_by_id(session, moved)
        assert again is not None
        assert again.moved_to == ""
