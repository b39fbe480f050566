"""Real workers whose processes are killed in mid-step: another process on the machine goes on with the job."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.state import State
from tests.support.builders import push
from tests.support.repos import Repo
from tests.support.services import eventually
from workers import store
from workers.db.models import Job, Run, Step
from workers.db.session import reading, transaction
from workers.logs import open_logs
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.secrets.vault import open_vault, secret_place
from workers.settings import Settings
from workers.store.processes.workers import OWNER_MARK

pytestmark = [pytest.mark.engine, pytest.mark.stress]

PATIENCE_S = 60


class Machine:
    """Workers with one data directory, and a repository. Every run is pushed to a branch of its own."""

    def __init__(self, settings: Settings, database: Engine, folder: Path) -> None:
        self.settings, self.database, self.folder = settings, database, folder
        self._repo = Repo(folder / "origin.git")
        self._notifier = Notifier(make_celery(settings))
        self.workers: list[subprocess.Popen[bytes]] = []
        with transaction(database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", self._repo.url)).id

    def start(self) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        own = {
            "HEADWAY_DATA_DIR": str(self.settings.data_dir),
            "HEADWAY_DATABASE_URL": self.settings.database_url,
            "HEADWAY_REDIS_URL": self.settings.redis_url,
            "HEADWAY_SECRET_KEYS": self.settings.secret_keys.get_secret_value(),
            "HEADWAY_GRACE_S": "1",
            "HEADWAY_SHUTDOWN_S": "1",
            "HEADWAY_WORKER_SLOTS": "4",
            "HEADWAY_STEPS_REACH_HOST": "true",  # other tests change the host's rules
        }
        command = [str(Path(sys.executable).with_name("headway")), "worker"]
        with (self.folder / "worker.log").open("ab") as out:
            worker = subprocess.Popen(command, env=kept | own, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.workers.append(worker)
        eventually(lambda: len(self.alive()) > 0, PATIENCE_S)
        return worker

    def alive(self) -> list[store.KnownWorker]:
        with reading(self.database) as session:
            return store.workers(session)

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(PATIENCE_S)

    def secret(self, name: str, value: str) -> None:
        with transaction(self.database) as session:
            sealed = open_vault(self.settings).seal(secret_place(self.repo_id, name), value)
            store.put_secret(session, self.repo_id, name, sealed)

    def push(self, pipeline: str, files: dict[str, str] | None = None) -> int:
        sha = self._repo.commit({".headway.yml": pipeline, **(files or {})})
        with transaction(self.database) as session:
            queued = store.queue_run(session, self.repo_id, push(sha=sha))
        self._notifier.notify(queued.job_id)
        return queued.run_id

    def run(self, run_id: int) -> Run:
        with reading(self.database) as session:
            return session.get_one(Run, run_id)

    def job(self, run_id: int) -> Job:
        with reading(self.database) as session:
            (job,) = store.jobs_of(session, run_id)
            return job

    def steps(self, run_id: int) -> dict[str, Step]:
        with reading(self.database) as session:
            return {step.name: step for step in store.steps_of_run(session, run_id)}

    def log(self, run_id: int, name: str) -> bytes:
        step = self.steps(run_id).get(name)
        if step is None:
            return b""
        with open_logs(self.settings).open(run_id, step.job_id, step.number, step.attempt) as reader:
            return reader.read(0, 10**8)

    def said(self, run_id: int, name: str, words: bytes) -> None:
        eventually(lambda: words in self.log(run_id, name), PATIENCE_S)

    def kill(self, run_id: int) -> None:
        """Kills (-9) the process that runs the job."""
        os.kill(int(self.job(run_id).lease_owner.rpartition(OWNER_MARK)[2].partition("-")[0]), signal.SIGKILL)

    def ended(self, run_id: int) -> Run:
        return eventually(lambda: run if (run := self.run(run_id)).state.final else None, PATIENCE_S)


@pytest.fixture
def machine(settings: Settings, sqlite_database: Engine, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(settings, sqlite_database, tmp_path)
    machine.start()
    yield machine
    machine.stop()
    print((tmp_path / "worker.log").read_text()[-8000:])


ONE = """skip_clone: true
steps:
  - name: work
    image: busybox
    environment: {TOKEN: {from_secret: token}}
    commands:
      - for i in 1 2 3 4 5 6 7 8 9 10; do echo "out $i $$"; echo "err $i" >&2; sleep 0.5; done
  - {name: after, image: busybox, commands: [echo after]}
"""


def test_a_step_goes_on_whose_worker_is_killed(machine: Machine) -> None:
    machine.secret("token", "s3cretvalue")
    run = machine.push(ONE)
    machine.said(run, "work", b"out 3")
    before = time.monotonic()
    machine.kill(run)
    done = machine.ended(run)
    print("took", time.monotonic() - before, machine.job(run).message)
    steps = machine.steps(run)
    log = machine.log(run, "work")
    print(log.decode())
    assert done.state is State.PASSED, done.sentence
    assert [line for line in log.splitlines() if line.startswith(b"err")] == [b"err %d" % n for n in range(1, 11)]
    out = [line for line in log.splitlines() if line.startswith(b"out")]
    assert len({line.split()[2] for line in out}) == 1
    assert [line.split()[1] for line in out] == [b"%d" % n for n in range(1, 11)]
    assert (machine.job(run).takeovers, machine.job(run).lost, machine.job(run).origin) == (1, 0, 1)
    assert steps["work"].log_bytes == len(log)
