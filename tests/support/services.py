"""Real servers for tests: Redis and PostgreSQL, each started when first asked for, on a free port, in its own folder.

A pytest plugin (see conftest.py). Every xdist worker starts its own. Where a server's program is missing, tests are
skipped with a sentence; where CI is set, they fail.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import Engine

from workers.db.models import Base
from workers.db.session import make_engine, upgrade
from workers.settings import Settings

START_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
TEST_KEY = "test:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
_POSTGRES_HOMES = Path("/usr/lib/postgresql")

T = TypeVar("T")


def need(program: str | Path | None, what: str) -> str:
    """The program's path. Without it the test is skipped, or fails where CI is set."""
    if program is not None:
        return str(program)
    sentence = f"{what} is not installed; `make test` installs it"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], T | None], within_s: float = 10.0) -> T:
    """The first answer that is true. Fails with the last one when the time is over."""
    deadline_s = time.monotonic() + within_s
    while not (answer := ask()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"still {answer!r} after {within_s} s")
        time.sleep(0.01)
    return answer


class Server:
    """A server process in a folder of its own. It dies with the tests, even when they are killed."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"headway-test-{name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str, user: str = "") -> None:
        identity = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *identity, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self, answers: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + START_WITHIN_S
        while not answers():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                pytest.fail(f"a server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Sends the server a signal; it must be running."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops the server and keeps its data."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Stops the server and deletes its data."""
        self.stop()
        shutil.rmtree(self.folder)


class RedisServer(Server):
    """A Redis with an append-only file, so that a restart keeps what a deployment's would."""

    def __init__(self) -> None:
        self._program = need(shutil.which("redis-server"), "redis-server")
        super().__init__("redis")
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it, or starts it again on the same port with the same data."""
        self._run(
            *(self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        )
        self._wait(self._answers)

    def client(self) -> redis.Redis:
        """A plain client; the caller closes it."""
        return redis.Redis.from_url(self.url)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class PostgresServer(Server):
    """A PostgreSQL cluster with as many databases as tests ask for. It refuses root: it gets its own user then."""

    def __init__(self) -> None:
        homes = sorted(_POSTGRES_HOMES.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
        self._bin = Path(need(homes[-1] if homes else None, "PostgreSQL")).parent
        super().__init__("postgres")
        self._user = "postgres" if os.geteuid() == 0 else ""
        self._databases = 0
        if self._user:
            shutil.chown(self.folder, self._user, self._user)

    def start(self) -> None:
        """Makes the cluster and starts it. Durability is off: a test's database need not survive the machine."""
        data = str(self.folder / "data")
        self._run(
            *(str(self._bin / "initdb"), "--pgdata", data, "--username=headway", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
            user=self._user,
        )
        assert self._process is not None
        if self._process.wait(START_WITHIN_S) != 0:
            pytest.fail(f"initdb failed:\n{(self.folder / 'server.log').read_text()[-2000:]}")
        self._run(
            *(str(self._bin / "postgres"), "-D", data, "-p", str(self.port), "-k", str(self.folder)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "synchronous_commit=off"),
            *("-c", "full_page_writes=off", "-c", "shared_buffers=32MB", "-c", "max_connections=200"),
            *("-c", "autovacuum=off"),  # else statistics come at moments of its own, and change what a query reads
            user=self._user,
        )
        self._wait(self._answers)

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"t{self._databases}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database in this cluster."""
        return f"postgresql+psycopg://headway@127.0.0.1:{self.port}/{database}"

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=headway dbname={database} connect_timeout=5"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._dsn("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One Redis for all tests of this process; never stop it."""
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """A running, empty Redis."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running Redis of the test's own, to be stopped, frozen and started again."""
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of this process."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer) -> str:
    """One database with all tables for all tests of this process."""
    url = postgres_server.new_database()
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path) -> Iterator[str]:
    """An SQLite database with all tables and no rows. It is in memory if that is possible: no test waits for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="headway-test-", dir=memory if memory.is_dir() else None) as folder:
        yield f"sqlite:///{shutil.copy(sqlite_template, Path(folder, 'headway.db'))}"


@pytest.fixture
def postgres_url(shared_postgres_url: str) -> str:
    """A PostgreSQL database with all tables and no rows; do not change its tables."""
    tables = ", ".join(f'"{name}"' for name in Base.metadata.tables)
    with psycopg.connect(shared_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE".encode())
    return shared_postgres_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn, with all tables and no rows: for the store's contract."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine for each of the two databases."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Engine]:
    """An engine where one database is enough."""
    engine = make_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str, redis_url: str) -> Settings:
    """Settings with a real Redis and an SQLite database with all tables, all of the test's own."""
    return Settings(data_dir=tmp_path, database_url=sqlite_url, redis_url=redis_url, secret_keys=SecretStr(TEST_KEY))
