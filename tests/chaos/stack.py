"""The whole of an installation: three workers on two machines, and proxies in front of the servers."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from tests.chaos.proxy import Proxies, Proxy
from tests.chaos.servers import ObjectStoreServer, RedisServer, RegistryServer, SturdyPostgres, blob_folder
from tests.e2e.stack import until
from tests.support.object_store import BUCKET, KEYS
from tests.support.other_machine import OtherMachine, other_machines
from tests.support.services import Server
from tests.support.site import Site
from workers.db.session import make_engine
from workers.settings import Settings

WORKERS = {"worker-1": 0, "worker-2": 0, "worker-3": 1}
"""Which worker is on which machine: the first two share one, with its engine and its data directory."""
LEASE_S = 6
ATTEMPTS_MAX = 1000
"""No job may end because its machines were lost too often."""


class Stack:
    """``servers`` and ``proxies`` have their names: redis, database, blobs, registry, as far as they are there."""

    def __init__(self, folder: Path, machines: list[OtherMachine]) -> None:
        self.folder, self.machines = folder, machines
        self.servers: dict[str, Server] = {}
        self.starts: dict[str, Callable[[], None]] = {}
        self.registry = RegistryServer()
        self.redis = RedisServer()
        self.proxy_thread = Proxies()
        self.proxies: dict[str, Proxy] = {}
        self.site: Site
        self.database_url = ""

    def start(self, *, postgres: bool) -> None:
        """Starts all. With PostgreSQL logs are in a bucket, with SQLite in a folder that both machines see."""
        self._serve("redis", self.redis)
        self._serve("registry", self.registry)
        settings = self._postgres_and_bucket() if postgres else self._sqlite_and_folder()
        self.site = Site(self.folder, settings | self._settings())
        self.site.migrate()
        for name in ("web", "scheduler"):
            self.site.add(name, name)
        for name, machine in WORKERS.items():
            self.site.add(name, "worker", machine=self.machines[machine], HEADWAY_WORKER_SLOTS="2")
        for part in self.site.parts.values():
            part.start()
        until("the web server answers", self.site.is_ready)
        until("all workers are there", lambda: self.site.workers() == len(WORKERS))

    def _settings(self) -> dict[str, str]:
        return {
            "HEADWAY_REDIS_URL": f"redis://127.0.0.1:{self.proxies['redis'].port}/0",
            "HEADWAY_LEASE_S": str(LEASE_S),
            "HEADWAY_ATTEMPTS_MAX": str(ATTEMPTS_MAX),
            "HEADWAY_SHUTDOWN_S": "2",
        }

    def _serve(self, name: str, server: "RedisServer | RegistryServer | SturdyPostgres | ObjectStoreServer") -> None:
        self.servers[name], self.starts[name] = server, server.start
        server.start()
        self.proxies[name] = self.proxy_thread.add(server.port)

    def _postgres_and_bucket(self) -> dict[str, str]:
        database, blobs = SturdyPostgres(), ObjectStoreServer()
        self._serve("database", database)
        self._serve("blobs", blobs)
        self.database_url = database.new_database()
        behind = self.database_url.replace(f":{database.port}/", f":{self.proxies['database'].port}/")
        store = {"HEADWAY_BLOB_URL": f"s3://{BUCKET}/chaos", "AWS_ENDPOINT_URL": self._at("blobs"), **KEYS}
        return {"HEADWAY_DATABASE_URL": behind, **store}

    def _at(self, name: str) -> str:
        return f"http://127.0.0.1:{self.proxies[name].port}"

    def _sqlite_and_folder(self) -> dict[str, str]:
        (self.folder / "database").mkdir()
        self.database_url = f"sqlite:///{self.folder}/database/headway.db"
        return {"HEADWAY_DATABASE_URL": self.database_url, "HEADWAY_BLOB_URL": blob_folder(self.folder)}

    @property
    def registry_host(self) -> str:
        """The registry's part of an image name, as engines reach it: behind its proxy."""
        return f"127.0.0.1:{self.proxies['registry'].port}"

    def settings(self) -> Settings:
        """Settings of a part that reads what is stored, past the proxies of the database."""
        found = self.site.environment(self.folder / "judge")
        return Settings(
            data_dir=self.folder / "judge", database_url=self.database_url, blob_url=found["HEADWAY_BLOB_URL"],
            redis_url=self.redis.url,
        )  # fmt: skip

    def workers_of(self, machine: OtherMachine) -> list[str]:
        """The names of the workers on a machine."""
        return [name for name, index in WORKERS.items() if self.machines[index] is machine]

    def stop(self) -> None:
        """Stops all but the machines, and removes the servers' data."""
        with ExitStack() as at_the_end:
            at_the_end.callback(self.proxy_thread.close)
            for server in self.servers.values():
                at_the_end.callback(server.remove)
                at_the_end.callback(server.stop, signal.SIGKILL)
            if hasattr(self, "site"):
                at_the_end.callback(self.site.stop)


@contextmanager
def running_stack(folder: Path, *, postgres: bool) -> Iterator[Stack]:
    """A running stack. At the end of the block, or on Ctrl-C, everything is stopped that was started."""
    folder.mkdir(parents=True)
    with other_machines(folder, "first", "second") as machines:
        stack = Stack(folder, machines)
        try:
            stack.start(postgres=postgres)
            yield stack
        finally:
            stack.stop()


@contextmanager
def bucket_keys(stack: Stack) -> Iterator[None]:
    """What this process needs to reach the blob store, past its proxy."""
    before = dict(os.environ)
    if "blobs" in stack.servers:
        os.environ |= {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{stack.servers['blobs'].port}"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def opened(stack: Stack) -> Iterator[Engine]:
    """The database, past its proxy."""
    engine = make_engine(stack.database_url)
    try:
        yield engine
    finally:
        engine.dispose()
