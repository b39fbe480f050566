"""A real worker with eight slots on PostgreSQL: how many connections it holds at work, and at rest."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pipelines.state import State
from tests.support.builders import push
from tests.support.repos import Repo
from tests.support.services import eventually
from workers import store
from workers.db.session import make_engine, reading, transaction
from workers.jobs.machine.idle_connections import IDLE_S
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.postgres, pytest.mark.stress]

SLOTS = 8
FEW = 4
NAME = "worker-under-test"
PATIENCE_S = 90
LEASE_S = 3
PIPELINE = f"""
skip_clone: true
matrix:
  N: [{", ".join(map(str, range(SLOTS)))}]
steps:
  - {{name: wait, image: busybox, commands: [echo $N, sleep 600]}}
"""


@pytest.fixture
def database(postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def worker(settings: Settings, postgres_url: str, tmp_path: Path) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    own = {
        "HEADWAY_DATA_DIR": str(settings.data_dir),
        "HEADWAY_DATABASE_URL": f"{postgres_url}?application_name={NAME}",
        "HEADWAY_REDIS_URL": settings.redis_url,
        "HEADWAY_SECRET_KEYS": settings.secret_keys.get_secret_value(),
        "HEADWAY_WORKER_SLOTS": str(SLOTS),
        "HEADWAY_LEASE_S": str(LEASE_S),
        "HEADWAY_GRACE_S": "0",
        "HEADWAY_STEPS_REACH_HOST": "true",
    }
    command = [str(Path(sys.executable).with_name("headway")), "worker"]
    with (tmp_path / "worker.log").open("wb") as out:
        process = subprocess.Popen(command, env=kept | own, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    yield
    process.terminate()
    process.wait(PATIENCE_S)


def connections(database: Engine) -> int:
    with reading(database) as session:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
        return int(session.execute(text(query), {"name": NAME}).scalar_one())


def most_within(database: Engine, seconds: float) -> int:
    most, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        most = max(most, connections(database))
        time.sleep(0.02)
    return most


@pytest.mark.usefixtures("worker", "engine")
def test_eight_slots_hold_eight_connections_and_a_few_and_none_at_rest(
    settings: Settings, database: Engine, tmp_path: Path
) -> None:
    repo = Repo(tmp_path / "origin.git")
    with transaction(database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/roof", repo.url)).id
        queued = store.queue_run(session, repo_id, push(sha=repo.commit({".headway.yml": PIPELINE})))
    notifier = Notifier(make_celery(settings))
    notifier.notify(queued.job_id)

    def states() -> list[State]:
        with reading(database) as session:
            return [job.state for job in store.jobs_of(session, queued.run_id)]

    eventually(lambda: states() == [State.RUNNING] * SLOTS, PATIENCE_S)
    eventually(lambda: SLOTS <= most_within(database, 6) <= SLOTS + FEW, PATIENCE_S)
    with transaction(database) as session:
        store.request_cancel(session, queued.run_id, "ada")
    eventually(lambda: states() == [State.CANCELED] * SLOTS, PATIENCE_S)
    eventually(lambda: connections(database) <= FEW, IDLE_S + 3 * LEASE_S + PATIENCE_S)
    # On a loaded machine a connection may be used for longer, so that more of them are open at once.
    eventually(lambda: most_within(database, 2 * LEASE_S) <= FEW, PATIENCE_S)
