"""Takeovers, on each of the two databases: only from the process that died, fenced, and with the same logs."""

import pytest
from sqlalchemy import Engine

from pipelines.state import PASSED, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job
from workers.db.session import reading, transaction
from workers.store.jobs import leases, takeovers
from workers.store.jobs.takeovers import Abandoned


@pytest.fixture
def first(database: Engine) -> leases.Claim:
    """A planned job of the worker ``w1``, whose first step has ended and whose second runs."""
    with transaction(database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        job_id = store.queue_run(session, repo.id, push()).job_id
        claim = leases.claim(session, job_id, "w1", 15)
        assert claim is not None
        store.plan_run(session, job_id, claim.attempt, plan(job_plan("test", steps=3)))
        for step in (1, 2):
            store.start_step(session, job_id, claim.attempt, step)
        store.finish_step(session, job_id, claim.attempt, 1, PASSED, (10, 1))
    return claim


def take(database: Engine, job: Abandoned, owner: str = "w2") -> leases.Claim | None:
    with transaction(database) as session:
        return takeovers.take_over(session, job, owner, 20, "host-2")


def job_now(database: Engine, job_id: int) -> Job:
    with reading(database) as session:
        return session.get_one(Job, job_id)


def test_a_job_goes_on_under_a_new_token_with_the_same_steps_and_logs(database: Engine, first: leases.Claim) -> None:
    mine = take(database, Abandoned(first.job_id, 1, "w1"))
    assert mine is not None
    assert (mine.attempt, mine.origin, mine.takeovers, mine.run_id) == (2, 1, 1, first.run_id)
    assert mine.plan == job_plan("test", steps=3)
    job = job_now(database, first.job_id)
    assert (job.state, job.lost, job.origin, job.lease_owner, job.lease_s, job.host) == (
        State.RUNNING, 0, 1, "w2", 20, "host-2",
    )  # fmt: skip
    with transaction(database) as session:
        assert not leases.renew(session, first.job_id, 1, "w1", 15).still_mine
        assert leases.renew(session, first.job_id, 2, "w2", 15).still_mine
        store.start_step(session, first.job_id, 2, 2)
        store.finish_step(session, first.job_id, 2, 2, PASSED, (20, 2))
        store.start_step(session, first.job_id, 2, 3)
        steps = store.steps_by_number(session, first.job_id)
        assert [(step.state, step.attempt) for step in steps.values()] == [
            (State.PASSED, 1), (State.PASSED, 1), (State.RUNNING, 1),
        ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"attempt": 2}, {"owner": "w3"}, {"job_id": 10**6}])
def test_what_the_dead_process_did_not_have_is_not_taken(
    database: Engine, first: leases.Claim, wrong: dict[str, int | str]
) -> None:
    held: dict[str, int | str] = {"job_id": first.job_id, "attempt": 1, "owner": "w1"}
    assert take(database, Abandoned(**(held | wrong))) is None  # type: ignore[arg-type]  # each has its own type
    assert job_now(database, first.job_id).takeovers == 0


def test_of_two_processes_one_takes_the_job(database: Engine, first: leases.Claim) -> None:
    job = Abandoned(first.job_id, 1, "w1")
    assert [take(database, job, owner) is not None for owner in ("w2", "w3")] == [True, False]


def test_a_job_that_ended_is_not_taken(database: Engine, first: leases.Claim) -> None:
    with transaction(database) as session:
        store.finish_job(session, first.job_id, 1, PASSED)
    assert take(database, Abandoned(first.job_id, 1, "w1")) is None


def test_a_job_is_taken_though_it_is_to_be_canceled_for_its_steps_must_end(
    database: Engine, first: leases.Claim
) -> None:
    with transaction(database) as session:
        store.request_cancel(session, first.run_id, "ada")
    mine = take(database, Abandoned(first.job_id, 1, "w1"))
    assert mine is not None
    with transaction(database) as session:
        assert leases.renew(session, first.job_id, mine.attempt, "w2", 15).cancel_by == "ada"


def test_a_job_that_cannot_go_on_counts_as_lost_and_starts_over_as_the_next_attempt(
    database: Engine, first: leases.Claim
) -> None:
    mine = take(database, Abandoned(first.job_id, 1, "w1"))
    assert mine is not None
    with transaction(database) as session:
        lost = takeovers.lose(session, mine, attempts_max=2)
        assert lost is not None
        assert lost.state is State.QUEUED
    with transaction(database) as session:
        again = leases.claim(session, first.job_id, "w2", 15)
        assert again is not None
        assert (again.attempt, again.origin) == (3, 2)
        assert {step.attempt for step in store.steps_by_number(session, first.job_id).values()} == {2}
        assert job_now(database, first.job_id).lost == 1
    with transaction(database) as session:
        assert takeovers.lose(session, mine, attempts_max=2) is None
        broken = takeovers.lose(session, again, attempts_max=2)
        assert broken is not None
        assert broken.state is State.BROKEN
