"""Jobs that wait for a forge, on each of the two databases: pauses, turns, cancellation, and when they are given up."""

import pytest
from sqlalchemy import Engine, update

from pipelines.plan import Concurrency
from pipelines.state import PASSED, Outcome, Reason, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import db_now_ms, reading, transaction
from workers.scheduler.delays import end_due_delays
from workers.store.jobs import delays, leases
from workers.store.jobs.delays import ASKED_PAUSE_S_MAX, FIRST_PAUSE_S, PAUSE_S_MAX, Delay, Delayed

WHY = Delay("git.corp accepts no connection", try_for_s=300)


def queue(database: Engine, repo_id: int) -> store.Queued:
    with transaction(database) as session:
        return store.queue_run(session, repo_id, push())


def claim(database: Engine, job_id: int) -> leases.Claim | None:
    with transaction(database) as session:
        return leases.claim(session, job_id, "w1", 15)


def delay(database: Engine, job_id: int, why: Delay = WHY) -> Delayed:
    mine = claim(database, job_id)
    assert mine is not None
    with transaction(database) as session:
        return delays.delay(session, job_id, mine.attempt, why)


def job_now(database: Engine, job_id: int) -> Job:
    with reading(database) as session:
        return session.get_one(Job, job_id)


def now_ms(database: Engine) -> int:
    with reading(database) as session:
        return db_now_ms(session)


def delay_with_pause(database: Engine, job_id: int, why: Delay = WHY) -> tuple[Delayed, float, float]:
    """What became of it, and between how many seconds the pause is: the delay itself takes time on a busy machine."""
    before_ms = now_ms(database)
    delayed = delay(database, job_id, why)
    after_ms, until_ms = now_ms(database), job_now(database, job_id).not_before_ms or 0
    return delayed, (until_ms - after_ms) / 1000, (until_ms - before_ms) / 1000


def change(database: Engine, job_id: int, **values: object) -> None:
    with transaction(database) as session:
        session.execute(update(Job).where(Job.id == job_id).values(values))


def pass_time(database: Engine, job_id: int, seconds: float) -> None:
    job = job_now(database, job_id)
    assert job.not_before_ms is not None
    assert job.delayed_since_ms is not None
    shift = int(seconds * 1000)
    change(
        database, job_id, not_before_ms=job.not_before_ms - shift, delayed_since_ms=job.delayed_since_ms - shift
    )  # fmt: skip


def woken(database: Engine) -> list[int]:
    found: list[int] = []
    end_due_delays(database, found.append)
    return found


def test_a_delayed_job_frees_its_slot_and_is_claimed_again_when_its_pause_is_over(
    database: Engine, repo_id: int
) -> None:
    first, second = queue(database, repo_id), queue(database, repo_id)
    assert delay(database, first.job_id).given_back
    assert claim(database, first.job_id) is None
    with reading(database) as session:
        assert leases.next_ready(session) == second.job_id
        assert first.job_id not in leases.ready_not_notified(session, -1)
        assert leases.labels_needed(session, first.job_id) is None
        (sentence,) = store.why_waiting(session, "acme/roof", [session.get_one(Job, first.job_id)]).values()
    assert sentence.startswith("Waits for the forge: git.corp accepts no connection. Tried once; the next try is at ")
    assert woken(database) == []
    pass_time(database, first.job_id, FIRST_PAUSE_S)
    assert woken(database) == [first.job_id]
    again = claim(database, first.job_id)
    assert again is not None
    assert again.attempt == 2


@pytest.mark.slow
def test_pauses_grow_up_to_a_limit_and_end_when_the_job_is_given_up(database: Engine, repo_id: int) -> None:
    job_id = queue(database, repo_id).job_id
    seen: list[tuple[float, float]] = []
    while True:
        found, shortest_s, longest_s = delay_with_pause(database, job_id)
        if not found.given_back:
            break
        seen.append((shortest_s, longest_s))
        pass_time(database, job_id, longest_s + 0.5)
        woken(database)
    expected = [2, 4, 8, 16, 32, PAUSE_S_MAX]
    assert all(low <= pause_s <= high for (low, high), pause_s in zip(seen, expected, strict=False)), seen
    assert sum(low for low, _ in seen) <= WHY.try_for_s + 5
    assert found.tries == len(seen) + 1
    assert found.tried_s >= WHY.try_for_s
    assert job_now(database, job_id).state is State.RUNNING, "the worker ends it"


@pytest.mark.parametrize(("asked", "pause_s"), [(1, FIRST_PAUSE_S), (40, 40), (9_999, ASKED_PAUSE_S_MAX)])
def test_a_pause_that_the_forge_asks_for_is_kept(database: Engine, repo_id: int, asked: int, pause_s: int) -> None:
    job_id = queue(database, repo_id).job_id
    _, shortest_s, longest_s = delay_with_pause(database, job_id, Delay("busy", 300, asked))
    assert shortest_s <= pause_s <= longest_s


def test_without_a_time_to_wait_a_job_is_not_given_back(database: Engine, repo_id: int) -> None:
    assert delay(database, queue(database, repo_id).job_id, Delay("away", 0)) == Delayed(
        given_back=False, tries=1, tried_s=0
    )


def test_a_forge_that_is_away_later_has_its_whole_time_again(database: Engine, repo_id: int) -> None:
    queued = queue(database, repo_id)
    delay(database, queued.job_id)
    pass_time(database, queued.job_id, 299)
    woken(database)
    mine = claim(database, queued.job_id)
    assert mine is not None
    with transaction(database) as session:
        store.plan_run(session, queued.job_id, mine.attempt, plan(job_plan("test")))
        found = delays.delay(session, queued.job_id, mine.attempt, WHY)
    assert found == Delayed(given_back=True, tries=1, tried_s=0)
    pass_time(database, queued.job_id, 299)
    woken(database)
    claim(database, queued.job_id)
    with transaction(database) as session:
        leases.reap(session, leases.held(session), attempts_max=5)
    assert job_now(database, queued.job_id).delayed_since_ms is None, "its worker was lost: it starts over"


def test_a_cancel_ends_the_wait(database: Engine, repo_id: int) -> None:
    queued = queue(database, repo_id)
    delay(database, queued.job_id)
    with transaction(database) as session:
        assert store.request_cancel(session, queued.run_id, "ada").state is State.CANCELED
    job = job_now(database, queued.job_id)
    assert (job.state, job.not_before_ms) == (State.CANCELED, None)
    assert woken(database) == []


def test_a_cancel_that_comes_during_the_fetch_ends_the_job(database: Engine, repo_id: int) -> None:
    queued = queue(database, repo_id)
    mine = claim(database, queued.job_id)
    assert mine is not None
    with transaction(database) as session:
        store.request_cancel(session, queued.run_id, "ada")
    with transaction(database) as session:
        delays.delay(session, queued.job_id, mine.attempt, WHY)
    assert job_now(database, queued.job_id).state is State.CANCELED


def test_a_clock_that_was_set_back_holds_no_job_for_long(database: Engine, repo_id: int) -> None:
    job_id = queue(database, repo_id).job_id
    delay(database, job_id)
    pass_time(database, job_id, -2 * 24 * 3600)
    assert woken(database) == [job_id]


def grouped(database: Engine, repo_id: int) -> tuple[int, int]:
    """Two runs, planned, whose jobs are of one concurrency group; the first one's job is delayed."""
    jobs: list[int] = []
    for _ in range(2):
        queued = queue(database, repo_id)
        mine = claim(database, queued.job_id)
        assert mine is not None
        with transaction(database) as session:
            its = job_plan("deploy").model_copy(update={"concurrency": Concurrency(group="production")})
            store.plan_run(session, queued.job_id, mine.attempt, plan(its))
            if not jobs:
                delays.delay(session, queued.job_id, mine.attempt, WHY)
        jobs.append(queued.job_id)
    return jobs[0], jobs[1]


def test_a_delayed_job_keeps_its_turn_in_its_group(database: Engine, repo_id: int) -> None:
    first, second = grouped(database, repo_id)
    assert job_now(database, second).group_key is not None
    assert claim(database, first) is None
    assert claim(database, second) is None, "a later deployment must not overtake"
    pass_time(database, first, FIRST_PAUSE_S)
    assert woken(database) == [first]
    mine = claim(database, first)
    assert mine is not None
    with transaction(database) as session:
        finished = store.finish_job(session, first, mine.attempt, PASSED)
    assert finished.ready_job_ids == [second]


def test_what_git_said_is_kept_with_the_verdict(database: Engine, repo_id: int) -> None:
    queued = queue(database, repo_id)
    mine = claim(database, queued.job_id)
    assert mine is not None
    outcome = Outcome(State.BROKEN, Reason.CLONE_FAILED, "cannot fetch", detail="fatal: no\nremote: gone")
    with transaction(database) as session:
        store.finish_job(session, queued.job_id, mine.attempt, outcome)
    job = job_now(database, queued.job_id)
    assert (job.message, job.detail) == ("cannot fetch", "fatal: no\nremote: gone")
    with reading(database) as session:
        assert session.get_one(Run, queued.run_id).sentence == "cannot fetch"
