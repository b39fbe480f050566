"""Jobs whose machine was at fault, on each of the two databases."""

import pytest
from sqlalchemy import Engine, update

from pipelines.state import Outcome, Reason, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import db_now_ms, now_ms, reading, transaction
from workers.scheduler.delays import end_due_delays
from workers.store.jobs import leases, takeovers
from workers.store.jobs.machine_faults import FAULTS, PAUSE_S, GivenBack, give_back, is_fault

FAULT = Outcome(State.BROKEN, Reason.ENGINE_GONE, "the Docker Engine went away")


def queue(database: Engine) -> store.Queued:
    with transaction(database) as session:
        repo = store.repo_by_name(session, "acme/roof") or store.add_repo(
            session, store.NewRepo("acme/roof", "file:///x")
        )
        return store.queue_run(session, repo.id, push())


def claim(database: Engine, job_id: int) -> leases.Claim:
    with transaction(database) as session:
        mine = leases.claim(session, job_id, "w1/1", 15, "host-1")
    assert mine is not None
    return mine


def lose(database: Engine, job_id: int, attempts_max: int = 2) -> GivenBack:
    mine = claim(database, job_id)
    with transaction(database) as session:
        return give_back(session, job_id, mine.attempt, FAULT, attempts_max)


def job_now(database: Engine, job_id: int) -> Job:
    with reading(database) as session:
        return session.get_one(Job, job_id)


def test_a_job_waits_a_moment_and_is_then_for_any_worker(database: Engine) -> None:
    job_id = queue(database).job_id
    assert lose(database, job_id) == GivenBack(given_back=True, attempts=1)
    job = job_now(database, job_id)
    assert (job.state, job.lost, job.lane, job.lease_owner) == (State.QUEUED, 1, None, "")
    with reading(database) as session:
        assert leases.next_ready(session) is None
        assert job.not_before_ms is not None
        assert 0 < job.not_before_ms - db_now_ms(session) <= PAUSE_S * 1000
        (said,) = store.why_waiting(session, "acme/roof", [session.get_one(Job, job_id)]).values()
    assert "because the machine was at fault. host-1: the Docker Engine went away. Machines lost so far: 1" in said
    with transaction(database) as session:
        session.execute(update(Job).values(not_before_ms=now_ms()))
    woken: list[int] = []
    end_due_delays(database, woken.append)
    assert woken == [job_id]
    assert claim(database, job_id).attempt == 2


@pytest.mark.parametrize(("lost", "again"), [(0, True), (1, True), (2, False), (3, False)])
def test_the_limit_counts_machines_and_vanished_workers_together(database: Engine, lost: int, again: bool) -> None:
    job_id = queue(database).job_id
    with transaction(database) as session:
        session.execute(update(Job).values(lost=lost))
    found = lose(database, job_id, attempts_max=3)
    assert (found.given_back, found.attempts) == (again, lost + 1)
    assert job_now(database, job_id).state is (State.QUEUED if again else State.RUNNING)


def test_a_canceled_job_ends(database: Engine) -> None:
    queued = queue(database)
    mine = claim(database, queued.job_id)
    with transaction(database) as session:
        store.request_cancel(session, queued.run_id, "ada")
        assert give_back(session, queued.job_id, mine.attempt, FAULT, 2).given_back
    with reading(database) as session:
        assert session.get_one(Run, queued.run_id).state is State.CANCELED


def test_another_attempts_job_is_left_alone(database: Engine) -> None:
    job_id = queue(database).job_id
    claim(database, job_id)
    with pytest.raises(store.StaleAttemptError), transaction(database) as session:
        give_back(session, job_id, 7, FAULT, 2)


def test_what_is_a_machines_fault() -> None:
    assert {reason for reason in Reason if is_fault(Outcome(State.BROKEN, reason))} == FAULTS
    assert not any(is_fault(Outcome(state, Reason.ENGINE_GONE)) for state in State if state is not State.BROKEN)
    not_of_a_machine = {Reason.CLONE_FAILED, Reason.COMMIT_MISSING, Reason.REGISTRY_UNREACHABLE, Reason.WORKER_LOST}
    assert FAULTS.isdisjoint(not_of_a_machine), "another machine would have the same"


def test_steps_that_were_taken_over_keep_their_attempt_until_the_next_one_begins(database: Engine) -> None:
    """By it their logs are found."""
    job_id = queue(database).job_id
    first = claim(database, job_id)
    with transaction(database) as session:
        store.plan_run(session, job_id, first.attempt, plan(job_plan("test", steps=1)))
        store.start_step(session, job_id, first.attempt, 1)
        mine = takeovers.take_over(session, takeovers.Abandoned(job_id, first.attempt, "w1/1"), "w2/1", 15)
        assert mine is not None
        give_back(session, job_id, mine.attempt, FAULT, 2)
        (step,) = store.steps_by_number(session, job_id).values()
        assert (step.attempt, step.state) == (1, State.QUEUED)
