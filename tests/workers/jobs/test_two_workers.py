"""Two real workers with different labels on one database and one Redis: which runs which job, and cancellation."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.state import State
from tests.support.builders import push
from tests.support.repos import Repo
from tests.support.services import eventually
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading, transaction
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.stress]

PATIENCE_S = 60
STEP = "skip_clone: true\nsteps:\n  - image: busybox\n    commands: {commands}\n"
BUILD = STEP.format(commands="[echo built]")
GPU = "labels: {gpu: 'true'}\ndepends_on: [build]\n" + STEP.format(commands="[echo trained]")
PLAIN = "labels: {gpu: 'false'}\ndepends_on: [build]\n" + STEP.format(commands="[echo checked]")
AFTER = "depends_on: [gpu, plain]\n" + STEP.format(commands="[echo all]")
ENDLESS = STEP.format(commands="[sleep 600]")
FAILING = STEP.format(commands="[sleep 3, exit 3]\n    failure: cancel")


class Site:
    """A repository, and workers by name that are started with labels."""

    def __init__(self, settings: Settings, database: Engine, folder: Path) -> None:
        self.database = database
        self._settings, self._repo = settings, Repo(folder / "origin.git")
        self._notifier = Notifier(make_celery(settings))
        self._workers: list[subprocess.Popen[bytes]] = []
        with transaction(database) as session:
            self._repo_id = store.add_repo(session, store.NewRepo("acme/roof", self._repo.url)).id

    def start(self, labels: str, log: Path, *options: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        own = {
            "HEADWAY_DATA_DIR": str(self._settings.data_dir),
            "HEADWAY_DATABASE_URL": self._settings.database_url,
            "HEADWAY_REDIS_URL": self._settings.redis_url,
            "HEADWAY_SECRET_KEYS": self._settings.secret_keys.get_secret_value(),
            "HEADWAY_WORKER_LABELS": labels,
            "HEADWAY_GRACE_S": "1",
            "HEADWAY_STEPS_REACH_HOST": "true",  # other tests change the host's rules
        }
        command = [str(Path(sys.executable).with_name("headway")), "worker", *options]
        with log.open("wb") as out:
            self._workers.append(
                subprocess.Popen(command, env=kept | own, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            )

    def stop(self) -> None:
        for worker in self._workers:
            worker.terminate()
        self.wait()

    def wait(self) -> None:
        """The workers end by themselves, with status 0."""
        assert [worker.wait(PATIENCE_S) for worker in self._workers] == [0] * len(self._workers)

    def alive(self) -> list[store.KnownWorker]:
        with reading(self.database) as session:
            return store.workers(session)

    def push(self, files: dict[str, str]) -> int:
        sha = self._repo.commit({f".headway/{name}.yml": text for name, text in files.items()})
        with transaction(self.database) as session:
            queued = store.queue_run(session, self._repo_id, push(sha=sha))
        self._notifier.notify(queued.job_id)
        return queued.run_id

    def run(self, run_id: int) -> Run:
        with reading(self.database) as session:
            return session.get_one(Run, run_id)

    def jobs(self, run_id: int) -> dict[str, Job]:
        with reading(self.database) as session:
            return {job.name: job for job in store.jobs_of(session, run_id)}

    def ended(self, run_id: int) -> Run:
        return eventually(lambda: run if (run := self.run(run_id)).state.final else None, PATIENCE_S)


@pytest.fixture
def site(settings: Settings, sqlite_database: Engine, tmp_path: Path) -> Iterator[Site]:
    site = Site(settings, sqlite_database, tmp_path)
    site.start("gpu=true", tmp_path / "gpu.log")
    site.start("gpu=false", tmp_path / "plain.log")
    eventually(lambda: len(site.alive()) == 2, PATIENCE_S)
    yield site
    site.stop()
    assert site.alive() == []


def test_jobs_of_one_run_go_to_the_workers_with_their_labels_and_a_failed_step_cancels_all(site: Site) -> None:
    first = site.push({"build": BUILD, "gpu": GPU, "plain": PLAIN, "after": AFTER})
    assert site.ended(first).state is State.PASSED
    assert [job.attempt for job in site.jobs(first).values()] == [1] * 4
    begun = {name: job.started_ms or 0 for name, job in site.jobs(first).items()}
    ended = {name: job.finished_ms or 0 for name, job in site.jobs(first).items()}
    assert ended["build"] <= min(begun["gpu"], begun["plain"])
    assert max(ended["gpu"], ended["plain"]) <= begun["after"]

    label = "labels: {{gpu: '{}'}}\n".format
    second = site.push({"endless": label("true") + ENDLESS, "failing": label("false") + FAILING})
    assert site.ended(second).state is State.FAILED
    jobs = site.jobs(second)
    assert [jobs[name].state for name in ("endless", "failing")] == [State.CANCELED, State.FAILED]
    assert "canceled by step 'step-0' of 'failing', which failed" in jobs["endless"].message

    third = site.push({"nobody": label("maybe") + BUILD})
    job = eventually(lambda: site.jobs(third).get("nobody"), PATIENCE_S)
    eventually(lambda: site.jobs(third)["nobody"].state is State.QUEUED, PATIENCE_S)
    with transaction(site.database) as session:
        why = store.why_waiting(session, "acme/roof", store.jobs_of(session, third))[job.id]
        store.request_cancel(session, third, "ada")
    assert why.startswith("Waits for a worker with gpu=maybe, and there is none")
