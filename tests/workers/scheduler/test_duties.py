"""Each duty of the scheduler fails alone, is reported, and is tried again later."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.services import eventually
from workers import store
from workers.back_off import BackOff
from workers.db.session import downgrade, make_engine, reading, upgrade
from workers.scheduler.duties import Duty, DutyReporter, DutyThread, stop_all
from workers.scheduler.pace import Pace


class Threads:
    """Threads of duties, and what they report."""

    def __init__(self) -> None:
        self.leads, self.stop = threading.Event(), threading.Event()
        self.leads.set()
        self.reports: dict[str, list[str]] = {}
        self.all: list[DutyThread] = []

    def add(self, name: str, work: Callable[[], str]) -> DutyThread:
        reports = self.reports[name] = []
        thread = DutyThread(Duty(name, 0.02, work), self.leads, self.stop, Pace(), reports.append)
        self.all.append(thread)
        thread.start()
        return thread


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.stop.set()
    stop_all(threads.all)


def test_a_duty_that_fails_delays_no_other_and_is_tried_again_after_a_pause(threads: Threads) -> None:
    done, broken = threading.Semaphore(0), [True]

    def work() -> str:
        if broken[0]:
            raise ValueError("the log is a folder\nand more")
        return ""

    def other() -> str:
        done.release()
        return ""

    threads.add("fails", work)
    threads.add("works", other)
    for _ in range(20):
        assert done.acquire(timeout=10)
    assert set(threads.reports["fails"]) == {"ValueError: the log is a folder"}
    assert len(threads.reports["fails"]) < 3
    broken[0] = False
    eventually(lambda: threads.reports["fails"][-1] == "")


def test_a_duty_that_hangs_delays_no_other_and_is_reported_and_does_not_hold_up_the_end(threads: Threads) -> None:
    go_on, begun, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def hang() -> str:
        begun.set()
        go_on.wait()
        return ""

    def other() -> str:
        done.release()
        return ""

    hanging, working = threads.add("hangs", hang), threads.add("works", other)
    assert begun.wait(10)
    for _ in range(5):
        assert done.acquire(timeout=10)
    hanging.report_if_it_hangs(hangs_after_s=3600)
    assert threads.reports["hangs"] == []
    hanging.report_if_it_hangs(hangs_after_s=0)
    assert "has not finished" in threads.reports["hangs"][0]
    threads.stop.set()
    working.join(10)
    hanging.join(0.1)
    go_on.set()


def test_a_duty_is_done_only_while_this_process_leads(threads: Threads) -> None:
    threads.leads.clear()
    done = threading.Event()

    def work() -> str:
        done.set()
        return ""

    threads.add("works", work)
    assert not done.wait(0.2)
    threads.leads.set()
    assert done.wait(10)


def test_what_fails_is_in_the_database_until_it_succeeds_again(sqlite_database: Engine) -> None:
    def stored() -> dict[str, str]:
        with reading(sqlite_database) as session:
            return {each.name: each.problem for each in store.failed_duties(session)}

    report = DutyReporter(sqlite_database, "old logs")
    report("The logs of run 7 cannot be deleted.")
    report("The logs of run 8 cannot be deleted.")
    DutyReporter(sqlite_database, "crons")("x" * 3_000)
    assert stored() == {"crons": "x" * 2_000, "old logs": "The logs of run 8 cannot be deleted."}
    DutyReporter(sqlite_database, "old logs")("")
    assert list(stored()) == ["crons"]


@pytest.mark.slow
def test_a_report_that_could_not_be_stored_is_stored_with_the_next(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'later.db'}")
    report = DutyReporter(engine, "old logs")
    report("It fails.")
    upgrade(engine)
    report("It fails.")
    with reading(engine) as session:
        assert [each.name for each in store.failed_duties(session)] == ["old logs"]
    downgrade(engine, "base")
    engine.dispose()


def test_the_pause_after_a_failure_doubles_up_to_five_minutes() -> None:
    now_s = 0.0
    back_off = BackOff(lambda: now_s)
    assert [back_off.failed("a", "x") for _ in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    now_s = 299.9
    assert not back_off.is_due("a")
    assert back_off.is_due("b")
    now_s = 300
    assert back_off.is_due("a")
    back_off.succeeded("a")
    assert back_off.failed("a", "x") == 1


def test_the_first_problem_is_told_and_how_many_more_there_are() -> None:
    back_off = BackOff()
    assert back_off.problem() == ""
    back_off.failed(1, "Run 1 fails.")
    assert back_off.problem() == "Run 1 fails."
    back_off.failed(2, "Run 2 fails.")
    assert back_off.problem() == "Run 1 fails. (and 1 more)"
