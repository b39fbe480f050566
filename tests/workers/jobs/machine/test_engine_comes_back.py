"""A real worker whose engine comes, goes and comes back: it waits, says so, and is never started again for that."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from runner.docker.client import Engine
from tests.support.remote_engine import socket_of
from tests.support.services import eventually
from workers import store
from workers.db.session import reading
from workers.jobs.process.process import STOPPING
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.stress]
PATIENCE_S = 60


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """The way to the engine, which is not there yet."""
    return tmp_path / "engine.sock"


@pytest.fixture
def worker(settings: Settings, link: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    own = {
        "HEADWAY_DATA_DIR": str(tmp_path / "data"),
        "HEADWAY_DATABASE_URL": settings.database_url,
        "HEADWAY_REDIS_URL": settings.redis_url,
        "HEADWAY_SECRET_KEYS": settings.secret_keys.get_secret_value(),
        "HEADWAY_DOCKER_HOST": f"unix://{link}",
        "HEADWAY_LEASE_S": "3",
        "HEADWAY_WORKER_SLOTS": "1",
        "HEADWAY_STEPS_REACH_HOST": "true",  # other tests change the host's rules
    }
    process = subprocess.Popen([str(Path(sys.executable).with_name("headway")), "worker"], env=kept | own)
    yield process
    process.kill()
    process.wait(PATIENCE_S)


def problems(database: Database) -> list[str]:
    with reading(database) as session:
        return [worker.problem for worker in store.workers(session)]


def test_it_waits_for_its_engine_and_goes_on_by_itself(
    worker: subprocess.Popen[bytes], link: Path, engine: Engine, sqlite_database: Database
) -> None:
    def says(words: str) -> None:
        eventually(lambda: [words in problem for problem in problems(sqlite_database)] == [True], PATIENCE_S)

    says("No Docker Engine answers")
    link.symlink_to(socket_of(engine))
    eventually(lambda: problems(sqlite_database) == [""], PATIENCE_S)
    link.unlink()
    says("No Docker Engine answers")
    link.symlink_to(socket_of(engine))
    eventually(lambda: problems(sqlite_database) == [""], PATIENCE_S)
    worker.terminate()
    says(STOPPING)
    assert worker.wait(PATIENCE_S) == 0
    assert problems(sqlite_database) == []


def test_one_that_still_waits_ends_at_once(worker: subprocess.Popen[bytes], sqlite_database: Database) -> None:
    eventually(lambda: problems(sqlite_database), PATIENCE_S)
    worker.terminate()
    assert worker.wait(PATIENCE_S) == 0
    assert problems(sqlite_database) == []
