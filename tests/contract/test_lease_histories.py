"""Claims, renewals, takeovers, losses, cancellations and ends in any order, on each of the two databases."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from pipelines.state import PASSED, Outcome, State
from tests.support.builders import held_by, push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading, transaction
from workers.store.jobs import leases, takeovers
from workers.store.jobs.takeovers import Abandoned

OWNERS = st.sampled_from(["w1", "w2", "w3"])


class Histories(RuleBasedStateMachine):
    """Workers that claim, work, vanish and come back in any order: a job is one worker's, and ends once."""

    database: Engine

    def __init__(self) -> None:
        super().__init__()
        with transaction(self.database) as session:
            name = f"repo-{len(store.repos(session))}"
            repo = store.add_repo(session, store.NewRepo(name, "file:///x"))
            queued = store.queue_run(session, repo.id, push())
        self.run_id, self.job_id = queued.run_id, queued.job_id
        self.holder: leases.Claim | None = None
        self.owner = ""
        self.old: list[leases.Claim] = []
        self.canceled = False
        self.ended: State | None = None

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        with transaction(self.database) as session:
            mine = leases.claim(session, self.job_id, owner, 15)
        free = self.holder is None and not self.canceled and self.ended is None
        assert (mine is not None) == free
        if mine is not None:
            assert all(mine.attempt > old.attempt for old in self.old)
            assert all(mine.origin > old.origin for old in self.old), "its folder and logs are its own"
            self.holder, self.owner = mine, owner

    @precondition(lambda self: self.holder is not None)
    @rule()
    def vanish(self) -> None:
        assert self.holder is not None
        with transaction(self.database) as session:
            reaped = leases.reap(session, held_by(session, self.job_id), attempts_max=1000)
        assert self.job_id in {each.job_id for each in reaped}
        self.old.append(self.holder)
        self.holder = None
        if self.canceled:
            self.ended = State.CANCELED

    @precondition(lambda self: self.holder is not None)
    @rule()
    def give_back(self) -> None:
        assert self.holder is not None
        with transaction(self.database) as session:
            leases.release(session, self.job_id, self.holder.attempt)
        self.old.append(self.holder)
        self.holder = None
        if self.canceled:
            self.ended = State.CANCELED

    @rule()
    def cancel(self) -> None:
        with transaction(self.database) as session:
            store.request_cancel(session, self.run_id, "ada")
        if self.ended is None:
            self.canceled = True
            if self.holder is None:
                self.ended = State.CANCELED

    @precondition(lambda self: self.holder is not None)
    @rule(state=st.sampled_from([State.PASSED, State.FAILED]))
    def end(self, state: State) -> None:
        assert self.holder is not None
        with transaction(self.database) as session:
            store.finish_job(session, self.job_id, self.holder.attempt, Outcome(state))
        self.old.append(self.holder)
        self.holder, self.ended = None, state

    @precondition(lambda self: self.holder is not None)
    @rule(owner=OWNERS)
    def take_over(self, owner: str) -> None:
        assert self.holder is not None
        with transaction(self.database) as session:
            mine = takeovers.take_over(session, Abandoned(self.job_id, self.holder.attempt, self.owner), owner, 15)
        assert mine is not None
        assert (mine.attempt, mine.origin) == (self.holder.attempt + 1, self.holder.origin)
        self.old.append(self.holder)
        self.holder, self.owner = mine, owner

    @rule(owner=OWNERS)
    def take_over_late(self, owner: str) -> None:
        """What a dead process had once, and what another process has, is not taken."""
        attempts = [(old.attempt, owner) for old in self.old]
        if self.holder is not None and owner != self.owner:
            attempts.append((self.holder.attempt, owner))
        for attempt, whose in attempts:
            with transaction(self.database) as session:
                assert takeovers.take_over(session, Abandoned(self.job_id, attempt, whose), "w9", 15) is None

    @rule(owner=OWNERS)
    def renew(self, owner: str) -> None:
        for each in [*self.old, *([self.holder] if self.holder else [])]:
            with transaction(self.database) as session:
                found = leases.renew(session, self.job_id, each.attempt, owner, 15)
            assert found.still_mine == (each is self.holder and owner == self.owner)
            assert found.cancel_requested == (found.still_mine and self.canceled)

    @rule()
    def write_late(self) -> None:
        for old in self.old:
            with pytest.raises(store.StaleAttemptError), transaction(self.database) as session:
                store.finish_job(session, self.job_id, old.attempt, PASSED)
            with pytest.raises(store.StaleAttemptError), transaction(self.database) as session:
                store.start_step(session, self.job_id, old.attempt, 1)
            with pytest.raises(store.StaleAttemptError), transaction(self.database) as session:
                leases.release(session, self.job_id, old.attempt)

    @invariant()
    def the_rows_say_so(self) -> None:
        with reading(self.database) as session:
            job, run = session.get_one(Job, self.job_id), session.get_one(Run, self.run_id)
        if self.ended is not None:
            assert (job.state, run.state) == (self.ended, self.ended)
        elif self.holder is not None:
            assert (job.state, job.attempt) == (State.RUNNING, self.holder.attempt)
        else:
            assert job.state is State.QUEUED
            assert run.finished_ms is None


@pytest.mark.stress
def test_in_any_history_a_job_is_one_workers_and_ends_once(database: Engine) -> None:
    machine = type("HistoriesHere", (Histories,), {"database": database})
    slow_is_fine = settings(
        max_examples=20, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=slow_is_fine)
