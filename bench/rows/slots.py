"""What a slot of a worker costs: connections to PostgreSQL and Redis, and memory, at work and at rest again."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from bench.measure import NotMeasurableError
from bench.result import Bench, Kind, Measured, Row, Target
from bench.rows.rest import family_of, pss_mib
from bench.servers import WebAlone, child, redis_server
from tests.e2e.stack import HEADWAY, Repository, until
from tests.support.services import PostgresServer

SLOTS = 8
CONNECTIONS = Row(
    "slot-connections",
    f"connections to PostgreSQL of a worker with {SLOTS} slots, all at work; the most that were seen",
    "",
    "connections",
    Target(Kind.FIGURE_AT_MOST, SLOTS + 4),
)
REST = Row(
    "slot-connections-rest",
    f"connections to PostgreSQL of a worker with {SLOTS} slots, at rest after that",
    "",
    "connections",
    Target(Kind.FIGURE_AT_MOST, 4),
)
MEMORY = Row(
    "slot-memory",
    f"memory (PSS) of a slot at work, the mean of {SLOTS}",
    "",
    "MiB",
    Target(Kind.FIGURE_AT_MOST, 60),
)
_PARTS = ("web", "scheduler", "worker")
_POSTGRES = Path("/usr/lib/postgresql")
_WORKED_S, _WATCHED_S, _LOOK_EVERY_S = 5.0, 20.0, 0.01
_AT_REST_S = 30.0
_PIPELINE = """matrix:
  N: [{cells}]
steps:
  - {{name: wait, image: busybox, commands: ["while :; do echo $N; sleep 0.5; done"]}}
"""


def slots(bench: Bench) -> dict[Row, Measured]:
    """One installation; each of its parts logs in to PostgreSQL under a name of its own, and is so told apart."""
    if not any(_POSTGRES.glob("*/bin/postgres")):
        raise NotMeasurableError("PostgreSQL is not installed; `make bench` installs it")
    with _installation(bench.place(MEMORY.name)) as site:
        with _work(site):
            busy = site.most_connections(_WATCHED_S)
            memory, clients = site.memory("worker"), site.redis_clients()
        time.sleep(_AT_REST_S)
        rest, clients_at_rest = site.most_connections(_WATCHED_S), site.redis_clients()
        at_rest = site.memory("worker")
    parent, *pool = memory
    slot = sum(pool) / SLOTS
    others = {part: busy[part] for part in ("web", "scheduler")}
    return {
        CONNECTIONS: Measured(busy["worker"], None, {}, f"others: {others}; to Redis, all parts: {clients}"),
        REST: Measured(rest["worker"], None, {}, f"to Redis, all parts: {clients_at_rest}"),
        MEMORY: Measured(
            slot, None, {"slots": pool}, f"the parent process {parent:.0f} MiB; at rest all {sum(at_rest):.0f} MiB"
        ),
    }


@dataclass
class _Site:
    web: "_Web"
    postgres: PostgresServer
    redis_url: str
    pids: dict[str, int]

    def connections(self) -> Counter[str]:
        """Now, by part."""
        address = self.postgres.url("postgres").replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            found = connection.execute("SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1").fetchall()
        return Counter({name: count for name, count in found if name in _PARTS})

    def most_connections(self, seconds: float) -> Counter[str]:
        """The most that each part had at once."""
        most, end_s = Counter[str](), time.monotonic() + seconds
        while time.monotonic() < end_s:
            most |= self.connections()
            time.sleep(_LOOK_EVERY_S)
        return most

    def redis_clients(self) -> int:
        with redis.Redis.from_url(self.redis_url) as client:
            return len(client.client_list()) - 1

    def memory(self, part: str) -> list[float]:
        """MiB of its processes, the parent first."""
        return [pss_mib(pid) for pid in family_of(self.pids[part])]


class _Web(WebAlone):
    """The environment is that of ``part``."""

    def __init__(self, folder: Path, redis_url: str, postgres: PostgresServer) -> None:
        super().__init__(folder, redis_url)
        self.database, self.part = postgres.new_database(), "web"

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "HEADWAY_DATABASE_URL": self.database.replace("headway@", f"{self.part}@"),
            "HEADWAY_WORKER_SLOTS": str(SLOTS),
            "HEADWAY_GRACE_S": "0",
            "HEADWAY_STEPS_REACH_HOST": "true",
            "HEADWAY_BUILDS_REACH_HOST": "true",
        }


@contextmanager
def _installation(folder: Path) -> Iterator[_Site]:
    postgres = PostgresServer()
    postgres.start()
    try:
        with psycopg.connect(postgres.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            for part in _PARTS:
                connection.execute(f"CREATE ROLE {part} SUPERUSER LOGIN".encode())
        with ExitStack() as stack:
            redis_url = stack.enter_context(redis_server(folder / "redis"))
            web = _Web(folder, redis_url, postgres)
            web.headway("db", "upgrade")
            stack.enter_context(web.running())
            pids = {}
            for web.part in ("scheduler", "worker"):
                started = child([HEADWAY, web.part], folder / f"{web.part}.log", web.environment)
                pids[web.part] = stack.enter_context(started).pid
            web.headway("user", "add", "bench", "--admin")
            web.token = web.headway("token", "create", "bench", "bench").strip().splitlines()[-1]
            until("the worker is ready", lambda: web.api("/workers").json)
            yield _Site(web, postgres, redis_url, pids)
    finally:
        postgres.remove()


@contextmanager
def _work(site: _Site) -> Iterator[None]:
    """All slots run a job as long as the block."""
    repo = Repository(site.web, "busy")
    number = repo.push({".headway.yml": _PIPELINE.format(cells=", ".join(map(str, range(SLOTS))))})

    def running() -> bool:
        return [job["state"] for job in repo.run(number)["jobs"]].count("running") == SLOTS

    until("all slots are at work", running)
    time.sleep(_WORKED_S)
    yield
    site.web.api(f"/repos/busy/runs/{number}/cancel", method="POST")
    repo.ended(number)
