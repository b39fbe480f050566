"""A long history and a long queue: what they add to a claim, to the scheduler's round and to every page."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from bench.measure import NotMeasurableError, Timed, interleave
from bench.result import Bench, Kind, Measured, Row, Target
from bench.servers import redis_server
from tests.support.history import History
from tests.support.installation import Operations, installation
from tests.support.services import TEST_KEY, PostgresServer
from workers.db.session import make_engine, upgrade
from workers.settings import Settings

LARGE = History(runs=100_000, repos=3, queued=10_800)
# Enough to fill each page: what is measured is growth, not a longer list.
SMALL = History(runs=400, repos=3, queued=400)
ROUNDS, TIMES = 9, 5
_POSTGRES = Path("/usr/lib/postgresql")
_WHAT = "the slowest of claim, end of a job, scheduler's round and pages: 100,000 runs, 10,000 jobs queued"
_TARGET = Target(Kind.RATIO_AT_MOST, 1.5)
SQLITE = Row("queue-sqlite", f"{_WHAT}; SQLite", "the same with 400 runs, 400 jobs queued", "s", _TARGET)
POSTGRESQL = Row("queue-postgresql", f"{_WHAT}; PostgreSQL", "the same with 400 runs, 400 jobs queued", "s", _TARGET)


def sqlite(bench: Bench) -> dict[Row, Measured]:
    """Two files, alternating."""
    place = bench.place(SQLITE.name)
    with redis_server(place / "redis") as redis_url:
        return {SQLITE: _compare(bench, place, redis_url, lambda name: f"sqlite:///{place}/{name}.db")}


def postgresql(bench: Bench) -> dict[Row, Measured]:
    """Two databases of one server, alternating."""
    if not any(_POSTGRES.glob("*/bin/postgres")):
        raise NotMeasurableError("PostgreSQL is not installed; `make bench` installs it")
    place = bench.place(POSTGRESQL.name)
    server = PostgresServer()
    server.start()
    try:
        with redis_server(place / "redis") as redis_url:
            return {POSTGRESQL: _compare(bench, place, redis_url, lambda _: server.new_database())}
    finally:
        server.remove()


def _compare(bench: Bench, place: Path, redis_url: str, url: Callable[[str], str]) -> Measured:
    with ExitStack() as stack:
        large, small = (
            stack.enter_context(_installation(place / name, redis_url, url(name), history))
            for name, history in (("large", LARGE), ("small", SMALL))
        )
        timed = {name: _time(bench, large[name], small[name]) for name in large}
    ratios = {name: each.median("ours") / each.median("baseline") for name, each in timed.items()}
    worst = max(ratios, key=lambda name: ratios[name])
    rounds = {f"{name}: {which}": each.figures[which] for name, each in timed.items() for which in each.figures}
    note = f"the slowest is {worst}; all: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    return Measured(timed[worst].median("ours"), timed[worst].median("baseline"), rounds, note)


def _time(bench: Bench, large: Callable[[], object], small: Callable[[], object]) -> Timed:
    return interleave(bench.rounds_of(ROUNDS), {"ours": partial(_seconds, large), "baseline": partial(_seconds, small)})


def _seconds(run: Callable[[], object]) -> float:
    """The fastest of some times: of twenty operations one is always disturbed by the machine."""
    took_s = []
    for _ in range(TIMES):
        started_s = time.perf_counter()
        run()
        took_s.append(time.perf_counter() - started_s)
    return min(took_s)


@contextmanager
def _installation(data: Path, redis_url: str, url: str, history: History) -> Iterator[Operations]:
    data.mkdir()
    settings = Settings(data_dir=data, database_url=url, redis_url=redis_url, secret_keys=SecretStr(TEST_KEY))
    engine = make_engine(url)
    upgrade(engine)
    with installation(settings, engine, history) as operations:
        yield operations
    engine.dispose()
