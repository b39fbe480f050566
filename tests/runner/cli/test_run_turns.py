"""The order of the jobs of ``headway run``, one after the other and several at once."""

from collections.abc import Mapping, Sequence
from threading import Barrier, Event, Lock

import pytest

from pipelines.needs import EndedJob
from pipelines.plan import Concurrency, JobPlan
from pipelines.state import PASSED, Outcome
from runner.cli.run.turns import _next, run_in_turns
from tests.support.plans import numbered, shell

WAIT_S = 60


def jobs(needs: Mapping[str, Sequence[str]], **more: Concurrency) -> list[JobPlan]:
    return [
        JobPlan(
            name=name.partition("#")[0], file="f", number=number, needs=tuple(needed), steps=numbered([shell()]),
            concurrency=more.get(name.partition("#")[0]),
        )
        for number, (name, needed) in enumerate(needs.items(), start=1)
    ]  # fmt: skip


class Turns:
    """Runs jobs that only note when they begin and end, and how many run at once."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.known: dict[str, list[str]] = {}
        self.most = self.now = 0
        self.stopped = Event()
        self.lock = Lock()

    def begin(self, job: JobPlan, ended: Sequence[EndedJob]) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.seen.append(job.name)
            self.known[job.name] = sorted(each.name for each in ended)

    def end(self) -> Outcome:
        with self.lock:
            self.now -= 1
        return PASSED

    def one(self, job: JobPlan, ended: Sequence[EndedJob]) -> Outcome:
        self.begin(job, ended)
        return self.end()

    def run(self, plans: Sequence[JobPlan], at_once: int = 1) -> list[str]:
        return [each.name for each in run_in_turns(plans, at_once, self.one, lambda *_: None, self.stopped.set)]


def test_one_after_the_other_each_comes_after_what_it_needs() -> None:
    turns = Turns()
    assert turns.run(jobs({"c": ["b"], "b": ["a"], "a": [], "d": []})) == ["a", "d", "b", "c"]
    assert turns.seen == ["a", "d", "b", "c"]
    assert turns.most == 1
    assert turns.known["c"] == ["a", "b", "d"]


def test_what_needs_each_other_runs_all_the_same() -> None:
    assert Turns().run(jobs({"a": ["b"], "b": ["a"]}), 4) == ["a", "b"]


def test_several_run_at_once_and_no_more_than_asked() -> None:
    turns, meeting = Turns(), Barrier(2, timeout=WAIT_S)

    def meet(job: JobPlan, ended: Sequence[EndedJob]) -> Outcome:
        turns.begin(job, ended)
        meeting.wait()  # passes only where two run at once
        return turns.end()

    ended: list[str] = []
    run_in_turns(jobs({name: [] for name in "abcd"}), 2, meet, lambda job, _: ended.append(job.name), turns.stopped.set)
    assert turns.most == 2
    assert sorted(ended) == list("abcd")
    assert not turns.stopped.is_set()


def test_at_once_too_a_job_waits_for_all_cells_that_it_needs() -> None:
    turns = Turns()
    turns.run(jobs({"last": ["cells"], "cells#1": [], "cells#2": [], "cells#3": []}), 4)
    assert turns.known["last"] == ["cells"] * 3


@pytest.mark.parametrize(
    ("group", "running", "starts"),
    [
        (Concurrency(limit=1), 0, True),
        (Concurrency(limit=1), 1, False),
        (Concurrency(limit=2, group="g"), 1, True),
        (Concurrency(limit=2, group="g"), 2, False),
        (None, 3, True),
    ],
)
def test_a_concurrency_group_holds_here_too(group: Concurrency | None, running: int, starts: bool) -> None:
    cells = jobs({f"w#{n}": [] for n in range(4)}, **({"w": group} if group else {}))
    assert (_next(cells[running:], cells[:running]) is cells[running]) is starts


def test_jobs_of_other_groups_start_meanwhile() -> None:
    first, same, other = jobs({"a": [], "b": [], "c": []}, a=Concurrency(group="g"), b=Concurrency(group="g"))
    assert _next([same, other], [first]) is other
    assert sorted(Turns().run([first, same, other], 3)) == ["a", "b", "c"]
    own, apart = jobs({"a": [], "b": []}, a=Concurrency(), b=Concurrency())
    assert _next([apart], [own]) is apart


def test_a_fault_in_one_job_stops_the_others_and_is_raised() -> None:
    turns = Turns()

    def one(job: JobPlan, ended: Sequence[EndedJob]) -> Outcome:
        turns.begin(job, ended)
        if job.name == "bad":
            raise OSError("no disk")
        assert turns.stopped.wait(WAIT_S)
        return turns.end()

    with pytest.raises(OSError, match="no disk"):
        run_in_turns(jobs({"good": [], "bad": [], "later": ["good"]}), 2, one, lambda *_: None, turns.stopped.set)
    assert sorted(turns.seen) == ["bad", "good"]
