"""When waiting jobs probably start: a simulation of slots, which guesses nothing."""

from web.operations.queue.estimates import (
    NO_WORKER,
    NO_WORKER_TAKES_JOBS,
    UNKNOWN_AHEAD,
    Estimate,
    RunningJob,
    WaitingJob,
    estimates,
)
from workers.store import KnownWorker


def worker(name: str = "w", slots: int = 1, problem: str = "", **labels: str) -> KnownWorker:
    return KnownWorker(name, {"repo": "*", **labels}, slots, 0, 0, 0, problem)


def waits(job_id: int, *past_ms: int, **labels: str) -> WaitingJob:
    return WaitingJob(job_id, {"repo": "a/b", **labels}, past_ms)


def starts(waiting: list[WaitingJob], running: list[RunningJob], *workers: KnownWorker) -> list[int | None]:
    return [each.starts_in_ms for each in estimates(waiting, running, workers).values()]


def test_a_free_slot_takes_a_job_at_once_and_the_next_ones_wait_for_its_usual_time() -> None:
    jobs = [waits(1, 10, 20, 90), waits(2, 5), waits(3, 5), waits(4, 5)]
    assert starts(jobs, [], worker()) == [0, 20, 25, 30]
    assert starts(jobs, [], worker(slots=2)) == [0, 0, 5, 10]


def test_a_job_that_runs_takes_as_long_as_the_earlier_ones_that_took_longer_than_it_has_until_now() -> None:
    assert starts([waits(1, 5)], [RunningJob("w", 4, (10, 20, 30))], worker()) == [16]
    assert starts([waits(1, 5)], [RunningJob("w", 10, (10, 20, 30))], worker()) == [15]
    assert starts([waits(1, 5)], [RunningJob("w", 29, (10, 20, 30))], worker()) == [1]


def test_behind_a_job_that_takes_longer_than_ever_there_is_no_estimate() -> None:
    for running in (RunningJob("w", 30, (10, 20, 30)), RunningJob("w", 0)):
        assert estimates([waits(1, 5)], [running], [worker()]) == {1: Estimate(None, UNKNOWN_AHEAD)}
        assert starts([waits(1, 5)], [running], worker(slots=2)) == [0], "its other slot is free"


def test_behind_a_waiting_job_that_never_passed_there_is_no_estimate() -> None:
    assert starts([waits(1), waits(2, 5), waits(3, 5)], [], worker(slots=2)) == [0, 0, 5]
    assert starts([waits(1), waits(2, 5)], [], worker()) == [0, None]


def test_a_job_takes_the_first_slot_of_the_workers_that_fit() -> None:
    gpu, other = worker("gpu", gpu="a100"), worker("other")
    busy = [RunningJob("gpu", 0, (50,)), RunningJob("other", 0, (20,)), RunningJob("gone", 0, (1,))]
    assert starts([waits(1, 5, gpu="a100"), waits(2, 5)], busy, gpu, other) == [50, 20]


def test_without_a_worker_there_is_a_sentence() -> None:
    assert estimates([waits(1)], [], []) == {1: Estimate(None, NO_WORKER)}
    assert estimates([waits(1, gpu="a100")], [], [worker()]) == {1: Estimate(None, NO_WORKER)}
    full = worker(problem="Its disk is nearly full.")
    assert estimates([waits(1)], [], [full]) == {1: Estimate(None, NO_WORKER_TAKES_JOBS)}
    assert starts([waits(1)], [], full, worker("other")) == [0]
