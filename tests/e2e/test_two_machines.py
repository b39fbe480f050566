"""Two machines, each with a worker and an engine of its own, share the database, Redis and a bucket, and nothing else.

The first loses its power in mid-step: the job starts again on the second, and what the first one wrote is there.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.e2e.stack import RepositoryOn, until
from tests.support.object_store import BUCKET, KEYS, ObjectStoreServer
from tests.support.other_machine import OtherMachine, other_machines
from tests.support.services import PostgresServer, RedisServer
from tests.support.site import Site
from workers import store
from workers.db.models import Job
from workers.db.session import make_engine, reading

LEASE_S = 6
LOST_S = 5
"""Output that a machine wrote before may be lost with it: see Logs in docs/running/storage.md."""
BUSY_S = 3
"""What may be added to that while other tests use the processors."""
LINES = 40
STEP = f"""steps:
  - name: count
    image: busybox
    commands:
      - n=0; while [ $n -lt {LINES} ]; do n=$((n+1)); echo "$n $(date +%s)"; sleep 0.2; done
"""


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, object_store_server: ObjectStoreServer
) -> Iterator[Site]:
    """A web server and a scheduler on this machine, which has no worker."""
    redis = RedisServer()
    redis.start()
    site = Site(
        tmp_path_factory.mktemp("site"),
        {
            "HEADWAY_DATABASE_URL": postgres_server.new_database(),
            "HEADWAY_REDIS_URL": redis.url,
            "HEADWAY_BLOB_URL": f"s3://{BUCKET}/two-machines",
            "HEADWAY_LEASE_S": str(LEASE_S),
            **KEYS,
            "AWS_ENDPOINT_URL": object_store_server.endpoint,
        },
    )
    try:
        site.migrate()
        for name in ("web", "scheduler"):
            site.add(name, name).start()
        until("the web server answers", site.is_ready)
        yield site
    finally:
        site.stop()
        redis.remove()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[OtherMachine]]:
    with other_machines(tmp_path_factory.mktemp("machines"), "first", "second") as both:
        yield both


@pytest.fixture(scope="module")
def database(site: Site) -> Iterator[Engine]:
    engine = make_engine(site.environment(Path())["HEADWAY_DATABASE_URL"])
    yield engine
    engine.dispose()


def job_now(database: Engine, number: int) -> Job:
    with reading(database) as session:
        (run,) = [run for run, _ in store.recent_runs(session) if run.number == number]
        return store.jobs_of(session, run.id)[0]


def log_of(site: Site, step: Any, attempt: int) -> tuple[bytes, bool]:
    answer = site.api(f"/steps/{step['id']}/log?offset=0&attempt={attempt}")
    assert int(answer.headers["x-log-size"]) == len(answer.body)
    return answer.body, answer.headers["x-log-cut-off"] == "true"


def counted(log: bytes) -> list[tuple[int, int]]:
    """The lines of the loop in a log: number and time. All other lines, and the order, are as expected."""
    echo, *lines = log.decode().splitlines()
    assert echo.startswith("+ ")
    found = [(int(number), int(at)) for number, at in map(str.split, lines)]
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return found


def begun(site: Site, machines: list[OtherMachine], repo: RepositoryOn) -> tuple[int, Any]:
    """A run whose step runs on the first machine while the second has a worker too: its number, and the step."""
    site.add("first", "worker", machine=machines[0]).start()
    until("the first worker is there", lambda: site.workers() == 1)
    number = repo.push({".headway.yml": STEP})
    site.add("second", "worker", machine=machines[1]).start()
    step = repo.running(number, "count", "\n9 ")
    until("the second worker is there", lambda: site.workers() == 2)
    return number, step


def test_a_job_whose_machine_is_lost_starts_again_on_the_other_one(
    site: Site, machines: list[OtherMachine], database: Engine
) -> None:
    first, second = machines
    repo = RepositoryOn(site, "two/machines")
    number, step = begun(site, machines, repo)

    # The page is opened in mid-step: what the other machine writes is on it, and the step goes on.
    path = f"/repos/two/machines/runs/{number}?step={step['id']}"
    page = site.page(path)
    assert "<span>9 " in page
    assert f"<span>{LINES} " not in page
    (job,) = repo.run(number)["jobs"]
    assert (job["host"], job["steps"][0]["state"]) == ("first", "running")

    lost_s = time.time()
    first.lose_power()
    # How long that takes is measured by `python -m tests.chaos.figures`: here other tests run at the same time.
    until("the second has the job", lambda: job_now(database, number).attempt > 1)
    before, cut_off = log_of(site, step, attempt=1)
    kept = counted(before)
    assert (cut_off, len(kept) < LINES) == (True, True)
    assert kept[-1][1] >= int(lost_s) - LOST_S - BUSY_S, "all is there but the last seconds"
    assert f"Log of attempt 1</a>: {len(before)} bytes; it is cut off there" in site.page(path)

    (job,) = repo.ended(number)["jobs"]
    assert (job["state"], job["attempt"], job["host"]) == ("passed", 2, "second")
    whole, cut_off = log_of(site, step, attempt=2)
    assert (len(counted(whole)), cut_off) == (LINES, False)
    assert log_of(site, step, attempt=1) == (before, True)
    with closing(second.engine()) as engine:
        until("nothing is left in the second engine", lambda: not engine.containers_labelled("headway.job"))
    until("no folder is left", lambda: not list((second.data / "workspaces").iterdir()))
