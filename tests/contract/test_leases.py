"""Leases, on each of the two databases: claims, renewals, fencing, and random histories of all of them."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipelines.state import PASSED, Reason, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job, Leader, Repo, Run, Step
from workers.db.session import db_now_ms, make_engine, now_ms, reading, transaction
from workers.store.common import lock_attempt, table
from workers.store.jobs import leases, takeovers
from workers.store.processes import leaders


@pytest.fixture
def job_id(database: Engine) -> int:
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        return store.queue_run(session, repo.id, push()).job_id


def claim(database: Engine, job_id: int, owner: str = "w1", lease_s: int = 15) -> leases.Claim | None:
    with transaction(database) as session:
        return leases.claim(session, job_id, owner, lease_s, host="host-1")


def claimed(database: Engine, job_id: int, owner: str = "w1", lease_s: int = 15) -> leases.Claim:
    mine = claim(database, job_id, owner, lease_s)
    assert mine is not None
    return mine


def reap(database: Engine, attempts_max: int = 3) -> list[leases.Reaped]:
    with transaction(database) as session:
        return leases.reap(session, leases.held(session), attempts_max)


def job_now(database: Engine, job_id: int) -> Job:
    with reading(database) as session:
        job = store.job_by_id(session, job_id)
    assert job is not None
    return job


def planned(database: Engine, job_id: int) -> leases.Claim:
    mine = claimed(database, job_id)
    with transaction(database) as session:
        store.plan_run(session, job_id, mine.attempt, plan(job_plan("test")))
    return mine


def test_a_claim_starts_the_job_and_its_run(database: Engine, job_id: int) -> None:
    mine = claimed(database, job_id)
    assert (mine.job_id, mine.attempt, mine.plan) == (job_id, 1, None)
    job = job_now(database, job_id)
    assert (job.state, job.lease_owner, job.host, job.attempt) == (State.RUNNING, "w1", "host-1", 1)
    with reading(database) as session:
        run = store.run_by_id(session, mine.run_id)
        assert run is not None
        assert run.state is State.RUNNING
        assert run.started_ms is not None
        assert job.lease_until_ms is not None
        assert 10_000 < job.lease_until_ms - db_now_ms(session) <= 15_000


def test_of_many_claims_at_the_same_time_one_succeeds(database: Engine, job_id: int) -> None:
    won: list[str] = []
    start = threading.Barrier(6)

    def ask(owner: str) -> None:
        start.wait()
        if claim(database, job_id, owner) is not None:
            won.append(owner)

    threads = [threading.Thread(target=ask, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job_now(database, job_id).lease_owner] == won


def test_a_job_that_is_not_there_or_not_ready_cannot_be_claimed(database: Engine, job_id: int) -> None:
    assert claim(database, job_id + 1) is None
    with transaction(database) as session:
        session.execute(update(Job).values(ready=False))
        assert leases.next_ready(session) is None
    assert claim(database, job_id) is None
    with transaction(database) as session:
        session.execute(update(Job).values(ready=True))
        assert leases.next_ready(session) == job_id
    assert claim(database, job_id) is not None


def test_a_renewed_lease_is_longer_and_stays_with_its_owner(database: Engine, job_id: int) -> None:
    mine = claimed(database, job_id, lease_s=1)
    with transaction(database) as session:
        assert leases.renew(session, job_id, mine.attempt, "w1", 60) == leases.Renewal(True, False)
        assert not leases.renew(session, job_id, mine.attempt, "w2", 60).still_mine
        assert not leases.renew(session, job_id, mine.attempt + 1, "w1", 60).still_mine
    until = job_now(database, job_id).lease_until_ms
    with reading(database) as session:
        assert until is not None
        assert until - db_now_ms(session) > 50_000


def test_after_its_lease_expired_a_job_goes_to_the_next_worker(database: Engine, job_id: int) -> None:
    first = claimed(database, job_id, lease_s=-1)
    assert reap(database) == [leases.Reaped(job_id, first.run_id, State.QUEUED)]
    assert reap(database) == []
    second = claimed(database, job_id, "w2")
    assert second.attempt == 2
    with transaction(database) as session:
        assert not leases.renew(session, job_id, first.attempt, "w1", 15).still_mine
        assert leases.renew(session, job_id, second.attempt, "w2", 15).still_mine


def test_a_lease_that_was_renewed_meanwhile_is_not_reaped(database: Engine, job_id: int) -> None:
    mine = claimed(database, job_id)
    with reading(database) as session:
        before = leases.held(session)
    assert before == [leases.HeldLease(job_id, mine.run_id, 1, before[0].until_ms, 15)]
    with transaction(database) as session:
        leases.renew(session, job_id, mine.attempt, "w1", 20)
    with transaction(database) as session:
        assert leases.reap(session, before) == []
        assert [each.lease_s for each in leases.held(session)] == [20]


def test_a_lease_of_an_attempt_that_has_ended_is_not_reaped(database: Engine, job_id: int) -> None:
    claimed(database, job_id)
    with reading(database) as session:
        before = leases.held(session)
    assert [each.state for each in reap(database)] == [State.QUEUED]
    claimed(database, job_id, "w2")
    with transaction(database) as session:
        assert leases.reap(session, before) == []


WRITES: dict[str, Callable[[Session, int, int], object]] = {
    "start_step": lambda session, job, attempt: store.start_step(session, job, attempt, 1),
    "finish_step": lambda session, job, attempt: store.finish_step(session, job, attempt, 1, PASSED),
    "set_step_facts": lambda session, job, attempt: store.set_step_facts(session, job, attempt, 1, {}),
    "note_job": lambda session, job, attempt: store.note_job(session, job, attempt, "hello"),
    "set_trigger": lambda session, job, attempt: store.set_trigger(session, job, attempt, push("late"), on_branch=True),
    "plan_run": lambda session, job, attempt: store.plan_run(session, job, attempt, plan(job_plan("late"))),
    "fail_planning": lambda session, job, attempt: store.fail_planning(session, job, attempt, PASSED),
    "finish_job": lambda session, job, attempt: store.finish_job(session, job, attempt, PASSED),
    "release": leases.release,
}


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("since", ["reaped", "claimed again", "ended", "removed", "taken over"])
def test_every_write_of_a_stale_attempt_is_refused_and_changes_nothing(
    database: Engine, job_id: int, write: Callable[[Session, int, int], object], since: str
) -> None:
    mine = planned(database, job_id)
    with transaction(database) as session:
        if since == "taken over":
            takeovers.take_over(session, takeovers.Abandoned(job_id, mine.attempt, "w1"), "w2", 15)
        else:
            leases.reap(session, leases.held(session))
    if since == "claimed again":
        claimed(database, job_id, "w2")
    if since == "ended":
        again = claimed(database, job_id, "w2")
        with transaction(database) as session:
            store.finish_job(session, job_id, again.attempt, PASSED)
    if since == "removed":
        with transaction(database) as session:
            session.execute(delete(Repo))
    before = everything(database)
    with pytest.raises(store.StaleAttemptError), transaction(database) as session:
        write(session, job_id, mine.attempt)
    assert everything(database) == before


def everything(database: Engine) -> list[tuple[object, ...]]:
    with reading(database) as session:
        rows: list[tuple[object, ...]] = []
        for entity in (Run, Job, Step):
            every = table(entity)
            rows += [tuple(row) for row in session.execute(select(every).order_by(every.c.id))]
        return rows


def test_a_new_attempt_starts_all_steps_over(database: Engine, job_id: int) -> None:
    mine = planned(database, job_id)
    with transaction(database) as session:
        store.start_step(session, job_id, mine.attempt, 1)
        store.finish_step(session, job_id, mine.attempt, 1, PASSED, (10, 1), {"image_id": "x"})
        store.start_step(session, job_id, mine.attempt, 2)
    reap(database)
    with reading(database) as session:
        assert {step.state for step in store.steps_of(session, job_id)} == {State.QUEUED}
    again = claimed(database, job_id, "w2")
    assert again.plan == job_plan("test")
    with reading(database) as session:
        steps = store.steps_of(session, job_id)
        assert [(step.state, step.attempt, step.log_bytes, step.facts) for step in steps] == [
            (State.QUEUED, 2, 0, {}),
            (State.QUEUED, 2, 0, {}),
        ]


def test_a_job_that_loses_too_many_workers_is_broken(database: Engine, job_id: int) -> None:
    planned(database, job_id)
    for attempt in range(1, 4):
        reaped = reap(database, attempts_max=3)
        if attempt < 3:
            assert [each.state for each in reaped] == [State.QUEUED]
            claimed(database, job_id, f"w{attempt}")
    assert [each.state for each in reaped] == [State.BROKEN]
    with reading(database) as session:
        run = store.run_by_id(session, reaped[0].run_id)
        assert run is not None
        assert (run.state, run.reason) == (State.BROKEN, Reason.WORKER_LOST)
        assert "3 times" in run.sentence


def test_a_released_job_is_queued_at_once_and_not_counted_as_lost(database: Engine, job_id: int) -> None:
    for attempt in range(1, 6):
        mine = claimed(database, job_id)
        assert mine.attempt == attempt
        with transaction(database) as session:
            leases.release(session, job_id, mine.attempt)
    assert (job_now(database, job_id).state, job_now(database, job_id).lost) == (State.QUEUED, 0)
    with reading(database) as session:
        assert leases.ready_not_notified(session, older_than_s=60) == [job_id]


def test_a_canceled_job_whose_worker_died_ends_as_canceled(database: Engine, job_id: int) -> None:
    mine = planned(database, job_id)
    with transaction(database) as session:
        store.request_cancel(session, mine.run_id, "ada")
    assert reap(database) == [leases.Reaped(job_id, mine.run_id, State.CANCELED)]
    with reading(database) as session:
        run = store.run_by_id(session, mine.run_id)
        assert run is not None
        assert run.state is State.CANCELED


def test_a_job_that_was_planned_after_the_run_was_canceled_cannot_be_claimed(database: Engine, job_id: int) -> None:
    mine = claimed(database, job_id)
    with transaction(database) as session:
        store.request_cancel(session, mine.run_id, "ada")
    with transaction(database) as session:
        done = store.plan_run(session, job_id, mine.attempt, plan(job_plan("a", 1), job_plan("b", 2)))
    assert claim(database, done.ready_job_ids[0], "w2") is None
    with transaction(database) as session:
        store.finish_job(session, job_id, mine.attempt, PASSED)
        run = store.run_by_id(session, mine.run_id)
        assert run is not None
        assert run.state is State.CANCELED


@pytest.mark.slow
def test_a_claim_and_a_cancellation_at_the_same_time_agree_on_which_was_first(database: Engine, job_id: int) -> None:
    with reading(database) as session:
        repo_id = store.repos(session)[0].id
    for _ in range(20):
        with transaction(database) as session:
            queued = store.queue_run(session, repo_id, push())
        claims: list[leases.Claim | None] = []
        start = threading.Barrier(2)

        def take(queued: store.Queued = queued, claims: list[leases.Claim | None] = claims) -> None:
            start.wait()  # noqa: B023 - the thread ends within this round
            claims.append(claim(database, queued.job_id))

        thread = threading.Thread(target=take)
        thread.start()
        start.wait()
        with transaction(database) as session:
            store.request_cancel(session, queued.run_id, "ada")
        thread.join()
        job = job_now(database, queued.job_id)
        assert job.state is (State.CANCELED if claims == [None] else State.RUNNING)


@pytest.mark.postgres
def test_a_job_is_not_reaped_between_the_check_of_its_attempt_and_the_write(postgres_url: str) -> None:
    working = make_engine(postgres_url)
    reaping = make_engine(f"{postgres_url}?options=-c%20lock_timeout%3D100ms")
    with transaction(working) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        job = store.queue_run(session, repo.id, push()).job_id
    mine = planned(working, job)
    with transaction(working) as session:
        lock_attempt(session, job, mine.attempt)
        with pytest.raises(OperationalError, match="lock timeout"):
            reap(reaping)
    assert [each.job_id for each in reap(reaping)] == [job]
    reaping.dispose()
    working.dispose()


def test_a_job_that_was_rung_is_rung_again_only_after_its_time(database: Engine, job_id: int) -> None:
    with transaction(database) as session:
        assert leases.ready_not_notified(session, older_than_s=5) == []
        session.execute(update(Job).values(rung_ms=now_ms() - 6_000))
        assert leases.ready_not_notified(session, older_than_s=5) == [job_id]
        leases.mark_notified(session, [job_id])
        assert leases.ready_not_notified(session, older_than_s=5) == []
    claimed(database, job_id)
    with transaction(database) as session:
        session.execute(update(Job).values(rung_ms=None))
        assert leases.ready_not_notified(session, older_than_s=5) == []


def test_one_of_several_leads_until_it_falls_silent_or_gives_up(database: Engine) -> None:
    def take(owner: str, lease_s: int = 10) -> bool:
        with transaction(database) as session:
            return leaders.take_lead(session, "scheduler", owner, lease_s)

    assert take("a")
    assert not take("b")
    assert take("a", lease_s=-1)
    assert take("b")
    assert not take("a")
    with transaction(database) as session:
        leaders.give_up_lead(session, "scheduler", "a")
    assert not take("a")
    with transaction(database) as session:
        leaders.give_up_lead(session, "scheduler", "b")
    assert take("a")


def test_a_leader_that_was_seen_silent_is_replaced_whatever_the_clock_says(database: Engine) -> None:
    def take(owner: str, silent: leaders.Lead | None = None) -> bool:
        with transaction(database) as session:
            return leaders.take_lead(session, "scheduler", owner, 3_600, silent)

    def seen() -> leaders.Lead | None:
        with reading(database) as session:
            return leaders.leader(session, "scheduler")

    assert seen() is None
    assert take("a")
    before = seen()
    assert not take("b")
    with transaction(database) as session:
        session.execute(update(Leader).values(until_ms=now_ms() + 7_200_000))
    assert not take("b", before), "it went on leading since"
    assert take("b", seen())
    assert not take("a")


def test_a_wake_up_from_before_the_clock_was_set_back_counts_as_lost(database: Engine, job_id: int) -> None:
    for ahead_ms, lost in ((500, []), (3_600_000, [job_id])):
        with transaction(database) as session:
            session.execute(update(Job).values(rung_ms=now_ms() + ahead_ms))
            assert leases.ready_not_notified(session, older_than_s=60) == lost
