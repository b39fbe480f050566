"""A long history and a long queue cost nothing: rows read are counted, on each of the two databases, not time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from tests.support.history import History
from tests.support.installation import installation
from tests.support.services import TEST_KEY
from web.operations.queue.listing import JOBS_SIMULATED_MAX
from web.operations.repos.insights import RUNS_MAX
from web.pages.bars import BARS
from web.pages.repos.branches import REFS_SHOWN_MAX
from workers.db.session import make_engine, upgrade
from workers.settings import Settings
from workers.store.jobs.concurrency_turns import LIMIT_MAX
from workers.store.jobs.queued_jobs import COUNTED_MAX
from workers.store.runs.refs import RUNS_LOOKED_AT_MAX
from workers.store.runs.run_search import LOOKED_AT_MAX

RATIO_MAX = 1.5
# A page of the larger history may show a few rows more, such as ten names of jobs ahead.
SPARE = {"sqlite": 6_000, "postgresql": 100}
ANALYZED = " analyzed"
# The front page shows up to 20 runs of each repository, and reads each for its rank and for its bar, by an index.
BOUNDED = {
    "wake-up for the last job": {"sqlite": 0, "postgresql": LIMIT_MAX},
    # A search looks at so many runs, however many there are. SQLite needs some 30 instructions for each.
    "several filters": {"sqlite": 60 * LOOKED_AT_MAX, "postgresql": 3 * LOOKED_AT_MAX},
    "text": {"sqlite": 60 * LOOKED_AT_MAX, "postgresql": 3 * LOOKED_AT_MAX},
    # 100 runs of a branch, and of 50 the steps: 12 rows for each in these histories.
    "insights": {"sqlite": 60 * 12 * RUNS_MAX, "postgresql": 3 * 12 * RUNS_MAX},
    # Without statistics PostgreSQL reads all runs of a small repository for each of 40 refs: 67 in the shape "matrix".
    "branches": {"sqlite": 60 * RUNS_LOOKED_AT_MAX, "postgresql": 3 * RUNS_LOOKED_AT_MAX + 67 * REFS_SHOWN_MAX},
    # So many jobs are counted, and so many simulated.
    "queue": {"sqlite": 60 * 2 * COUNTED_MAX, "postgresql": 3 * COUNTED_MAX},
    "API: queue": {"sqlite": 60 * 2 * JOBS_SIMULATED_MAX, "postgresql": 3 * JOBS_SIMULATED_MAX},
    "front page": {"sqlite": 0, "postgresql": 3 * BARS * 8},
}
_INSTRUCTIONS = 20  # of SQLite's virtual machine, counted at once
_ROWS = text("SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables")

SMALL = History(runs=150, repos=3, queued=90)
LARGE = History(runs=6_000, repos=3, queued=3_000)


def both(**changes: object) -> tuple[History, History]:
    return replace(SMALL, **changes), replace(LARGE, **changes)  # type: ignore[arg-type]


SHAPES = {
    "everything": (SMALL, LARGE),
    "one group": both(repos=1, waits_for=("group",)),
    "many groups": (replace(SMALL, waits_for=("group",), groups=31), replace(LARGE, waits_for=("group",), groups=499)),
    "labels": both(waits_for=("labels",)),
    "unplanned": both(waits_for=("unplanned",)),
    "needs": both(waits_for=("needs", "free")),
    "one repository": both(repos=1),
    "many repositories": (History(400, repos=200, queued=90), History(20_000, repos=10_000, queued=3_000)),
    "matrix": (History(50, repos=3, jobs_of_run=64, queued=640), History(200, repos=3, jobs_of_run=64, queued=6_400)),
}


class Counter:
    """Counts what the database reads for this engine: instructions in SQLite, rows in PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self.total = 0
        if engine.dialect.name == "sqlite":
            event.listen(engine, "checkout", self._watch)
        else:
            # The server's counters also have what earlier transactions of the connection read.
            event.listen(engine, "begin", lambda connection: self._read(connection, -1))
            event.listen(engine, "commit", lambda connection: self._read(connection, 1))
            event.listen(engine, "rollback", lambda connection: self._read(connection, 1))

    def _watch(self, connection: DBAPIConnection, *_: object) -> None:
        connection.set_progress_handler(self._count, _INSTRUCTIONS)

    def _count(self) -> int:
        self.total += _INSTRUCTIONS
        return 0

    def _read(self, connection: Connection, sign: int) -> None:
        cursor = connection.connection.cursor()
        cursor.execute(str(_ROWS))
        (row,) = cursor.fetchall()
        self.total += sign * int(row[0])
        cursor.close()

    def of(self, run: Callable[[], object]) -> int:
        """What is read for this."""
        run()  # once before: statements are compiled, and counted values settle
        before = self.total
        run()
        return self.total - before


class Place:
    """Installations, each with a database of its own."""

    def __init__(self, folder: Path, redis_url: str, new_database: Callable[[str], str]) -> None:
        self.folder, self.redis_url, self.new_database = folder, redis_url, new_database

    def measure(self, name: str, history: History) -> dict[str, int]:
        """What each operation reads, first without statistics, then with them ("... analyzed")."""
        data = self.folder / name
        data.mkdir()
        url = self.new_database(name)
        settings = Settings(data_dir=data, database_url=url, redis_url=self.redis_url, secret_keys=SecretStr(TEST_KEY))
        engine = make_engine(url)
        upgrade(engine)
        with installation(settings, engine, history) as operations:
            counter = Counter(engine)
            found = {name: counter.of(run) for name, run in operations.items()}
            analyze(engine)
            found |= {f"{name}{ANALYZED}": counter.of(run) for name, run in operations.items()}
        engine.dispose()
        return found


def analyze(engine: Engine) -> None:
    """Statistics, as a database makes them by itself sooner or later."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> tuple[str, Place]:
    if request.param == "sqlite":
        new = Place(tmp_path, redis_url, lambda name: f"sqlite:///{tmp_path}/{name}.db")
    else:
        server = request.getfixturevalue("postgres_server")
        new = Place(tmp_path, redis_url, lambda _: server.new_database())
    return request.param, new


@pytest.mark.stress
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_read_does_not_grow_with_the_history_and_the_queue(place: tuple[str, Place], shape: str) -> None:
    database, installations = place
    small, large = (installations.measure(name, history) for name, history in zip("ab", SHAPES[shape], strict=True))
    spare = {name: BOUNDED.get(name.removesuffix(ANALYZED), {}).get(database, 0) for name in small}
    most = {name: RATIO_MAX * small[name] + SPARE[database] + spare[name] for name in small}
    assert {name: (small[name], large[name]) for name in large if large[name] > most[name]} == {}
