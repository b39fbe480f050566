"""A large report of tests: read and stored as a worker does it, against a parser that only parses it."""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.measure import interleave, run
from bench.result import Bench, Kind, Measured, Row, Target
from runner.report_results import ReportLimits, StepReports
from runner.reports.junit import TestReader
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.blobs import LocalBlobs
from workers.db.session import make_engine, transaction, upgrade
from workers.reports.storage import StoredReports
from workers.store.jobs import leases

CASES, FAILED_EVERY = 50_000, 1000
_PIECE_BYTES = 1024 * 1024
READ = Row(
    "junit-read",
    f"JUnit XML of {CASES:,} tests, {CASES // FAILED_EVERY} failed, read and stored",
    "`python -c` that only parses it with expat",
    "s",
    Target(Kind.RATIO_AT_MOST, 4.0),
)
_PARSE = "import sys\nfrom xml.parsers.expat import ParserCreate\nParserCreate().ParseFile(open(sys.argv[1], 'rb'))"


def write_report(path: Path) -> None:
    """A report as pytest writes it."""
    failure = "<failure message='AssertionError: assert 1 == 2'>" + "    x &lt; y\n" * 50
    with path.open("w") as file:
        file.write(
            '<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="pytest tests"><testsuite name="pytest">\n'
        )
        for number in range(CASES):
            file.write(
                f'<testcase classname="tests.unit.test_module_{number // 100}.TestClass" '
                f'name="test_does_what_it_says[{number}-value]" time="{number % 977 / 1000}">'
            )
            if number % FAILED_EVERY == 0:
                file.write(f"{failure}tests/unit/test_module_{number // 100}.py:12: AssertionError</failure>")
            file.write("</testcase>\n")
        file.write("</testsuite></testsuites>\n")


def read(bench: Bench) -> dict[Row, Measured]:
    """Both read the same file in turns. Ours stores rows in SQLite and a blob in a folder each time."""
    place = bench.place(READ.name)
    path = place / "report.xml"
    write_report(path)
    (place / "blobs").mkdir()
    database = make_engine(f"sqlite:///{place / 'headway.db'}")
    try:
        upgrade(database)
        with transaction(database) as session:
            repo_id = store.add_repo(session, store.NewRepo("bench/reports", "file:///nowhere")).id
            job_id = store.queue_run(session, repo_id, push()).job_id
            claim = leases.claim(session, job_id, "bench", 3600)
            assert claim is not None  # noqa: S101 - the job was just queued
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("test")))
        storage = StoredReports(database, LocalBlobs(place / "blobs"), claim, repo_id)
        variants: dict[str, Callable[[], float]] = {
            "ours": partial(_read_and_store, path, storage),
            "baseline": partial(run, [sys.executable, "-c", _PARSE, str(path)]),
        }
        timed = interleave(bench.rounds_of(9), variants)
    finally:
        database.dispose()
    return {READ: Measured(timed.median("ours"), timed.median("baseline"), dict(timed.figures))}


def _read_and_store(path: Path, storage: StoredReports) -> float:
    began_s = time.perf_counter()
    reader = TestReader(ReportLimits(), "/headway/src", lambda: None)
    reader.read(_pieces(path))
    results = reader.results()
    assert results is not None  # noqa: S101 - or nothing was measured
    assert results.total == CASES  # noqa: S101
    storage.keep(1, StepReports(results))
    return time.perf_counter() - began_s


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
