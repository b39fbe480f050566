"""A machine at fault: its worker takes nothing, and the job that ran there goes to another one."""

import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.state import Reason, State
from runner.docker.client import Engine
from tests.support.builders import push
from tests.support.engine_proxy import EngineProxy
from tests.support.remote_engine import socket_of
from tests.support.repos import Repo
from tests.support.services import eventually
from workers import store
from workers.db.models import Job, Run, Step
from workers.db.session import now_ms, reading, transaction
from workers.jobs.job_task import work
from workers.jobs.process.connections import WorkerFlags, make_context
from workers.scheduler.delays import end_due_delays
from workers.settings import Settings
from workers.store import Queued

# The SDK leaves sockets to the garbage collector when their engine goes away.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

QUICK = "skip_clone: true\nsteps:\n  - {name: show, image: busybox, commands: [echo hello]}\n"
LONG = "skip_clone: true\nsteps:\n  - {name: long, image: busybox, failure: cancel, commands: [echo up, sleep 4]}\n"


class Site:
    """A worker whose engine can go away, and one whose engine stays."""

    def __init__(self, settings: Settings, folder: Path, proxy: EngineProxy) -> None:
        self.proxy, self.woken = proxy, list[int]()
        self.near, self.flags = make_context(settings), WorkerFlags()
        self.far = replace(
            make_context(settings.model_copy(update={"docker_host": proxy.host}), "far", self.flags),
            notify=self.woken.append,
        )
        self.repo = Repo(folder / "roof.git")
        with transaction(self.near.database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", self.repo.url)).id

    def queue(self, pipeline: str) -> Queued:
        sha = self.repo.commit({".headway.yml": pipeline})
        with transaction(self.near.database) as session:
            return store.queue_run(session, self.repo_id, push(sha=sha))

    def job(self, queued: Queued) -> Job:
        with reading(self.near.database) as session:
            return session.get_one(Job, queued.job_id)

    def run(self, queued: Queued) -> Run:
        with reading(self.near.database) as session:
            return session.get_one(Run, queued.run_id)

    def lose_engine_in_mid_step(self, queued: Queued) -> None:
        worker = threading.Thread(target=work, args=(self.far, queued.job_id, 0))
        worker.start()
        eventually(lambda: self._steps(queued) == [State.RUNNING], 60)
        self.proxy.cut()
        worker.join(60)
        assert not worker.is_alive()

    def _steps(self, queued: Queued) -> list[State]:
        with reading(self.near.database) as session:
            return [step.state for step in session.query(Step).filter_by(job_id=queued.job_id, attempt=1)]

    def end_pause(self) -> None:
        with transaction(self.near.database) as session:
            session.execute(update(Job).where(Job.not_before_ms.is_not(None)).values(not_before_ms=now_ms()))
        end_due_delays(self.near.database, lambda _: None)


@pytest.fixture
def site(settings: Settings, tmp_path: Path, engine: Engine) -> Iterator[Site]:
    proxy = EngineProxy(tmp_path, socket_of(engine))
    made = Site(settings, tmp_path, proxy)
    yield made
    proxy.close()
    made.near.engine().close()
    for context in (made.near, made.far):
        context.database.dispose()
    del made, context
    gc.collect()


def test_a_worker_without_its_engine_takes_nothing_and_hands_the_wake_up_on(site: Site) -> None:
    queued = site.queue(QUICK)
    site.far.engine()
    site.proxy.cut()
    work(site.far, queued.job_id, disk_patience_s=0)
    assert (site.job(queued).state, site.job(queued).attempt) == (State.QUEUED, 0)
    assert site.woken == [queued.job_id]
    assert "Docker Engine" in site.far.engine_watch.problem()
    work(site.near, queued.job_id)
    assert site.run(queued).state is State.PASSED
    work(site.far, queued.job_id, disk_patience_s=0)
    assert site.woken == [queued.job_id], "a job that does not wait needs no wake-up"


def test_a_step_that_ran_when_its_engine_went_away_is_run_by_another_worker(site: Site) -> None:
    queued = site.queue(LONG)
    site.lose_engine_in_mid_step(queued)
    job = site.job(queued)
    assert (job.state, job.lost, job.lease_owner, job.reason) == (State.QUEUED, 1, "", None)
    assert site.flags.engine_suspected, "before the next job the engine must prove itself"
    assert not site.run(queued).state.final, "`failure: cancel` is for what the pipeline does"
    with reading(site.near.database) as session:
        (said,) = store.why_waiting(session, "acme/roof", [session.get_one(Job, queued.job_id)]).values()
    assert said.startswith("Waits for its next attempt, from ")
    assert "Docker Engine" in said
    work(site.near, queued.job_id)
    assert site.job(queued).attempt == 1, "not before its pause is over"
    site.end_pause()
    work(site.near, queued.job_id)
    assert site.run(queued).state is State.PASSED
    assert (site.job(queued).attempt, site.job(queued).lost) == (2, 1)


def test_a_job_that_loses_every_machine_is_broken_with_the_machines_fault(site: Site) -> None:
    queued = site.queue(LONG)
    with transaction(site.near.database) as session:
        session.execute(update(Job).values(lost=1))
    site.lose_engine_in_mid_step(queued)
    run = site.run(queued)
    assert (run.state, run.reason) == (State.BROKEN, Reason.ENGINE_GONE)
    assert "given up after 2 attempts (HEADWAY_ATTEMPTS_MAX)" in run.sentence
