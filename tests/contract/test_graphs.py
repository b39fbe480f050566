"""A run whose jobs need one another, worked on by several workers at once: every job and the run end as a small model
says, in whatever order jobs are claimed, lost and ended."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pipelines.plan import JobPlan
from pipelines.state import Outcome, Reason, State, verdict
from tests.support.builders import held_by, job_plan, plan, push
from workers import store
from workers.db.session import reading, transaction
from workers.store.jobs import leases

ENDS = [State.PASSED, State.FAILED, State.BROKEN]


@dataclass(frozen=True)
class Node:
    """A job: which of the earlier ones it needs, after what it runs, and how it ends if it does."""

    needs: frozenset[int]
    on_success: bool
    on_failure: bool
    end: State

    def plan(self, number: int, names: list[str]) -> JobPlan:
        needs = tuple(names[need] for need in sorted(self.needs))
        name = names[number]
        return job_plan(name, number + 1, needs, 1, on_failure=self.on_failure, on_success=self.on_success)


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    size = draw(st.integers(1, 7))
    outcomes = st.sampled_from([(True, False), (True, False), (False, True), (True, True)])
    nodes = []
    for number in range(size):
        needs = draw(st.frozensets(st.integers(0, number - 1), max_size=3)) if number else frozenset()
        on_success, on_failure = draw(outcomes)
        nodes.append(Node(needs, on_success, on_failure, draw(st.sampled_from(ENDS))))
    return nodes


def model(nodes: list[Node]) -> list[State]:
    """How the jobs must end: one that does not run after a failure is skipped, and counts as one unless it chose to."""
    states: list[State] = []
    well: list[bool] = []
    for node in nodes:
        bad = any(not well[need] for need in node.needs)
        runs = not node.needs or (node.on_failure if bad else node.on_success)
        states.append(node.end if runs else State.SKIPPED)
        well.append(node.end is State.PASSED if runs else not bad)
    return states


class Workers:
    """Several workers on one run. ``pick`` decides what happens next."""

    def __init__(self, database: Engine, nodes: list[Node], pick: st.DataObject) -> None:
        self.database, self.nodes, self.pick = database, nodes, pick
        self.names = [f"job-{number}" for number in range(len(nodes))]
        self.at_work: list[leases.Claim] = []
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo(f"repo-{len(store.repos(session))}", "file:///x"))
            self.run_id = (queued := store.queue_run(session, repo.id, push())).run_id
            claim = leases.claim(session, queued.job_id, "w", 60)
            assert claim is not None
            what = plan(*(node.plan(number, self.names) for number, node in enumerate(nodes)))
            mine = store.plan_run(session, queued.job_id, claim.attempt, what).mine
            assert mine is not None
        self.at_work.append(leases.Claim(claim.job_id, claim.run_id, claim.attempt, mine, claim.key))

    def go_on(self) -> bool:
        """Makes one random step. False when none is possible."""
        with reading(self.database) as session:
            jobs = store.jobs_of(session, self.run_id)
        waiting = [job.id for job in jobs if job.state is State.QUEUED and job.ready]
        moves = [("claim", each) for each in waiting]
        moves += [(what, each) for each in range(len(self.at_work)) for what in ("end", "lose")]
        if not moves:
            return False
        what, which = self.pick.draw(st.sampled_from(moves))
        getattr(self, what)(which)
        return True

    def claim(self, job_id: int) -> None:
        with transaction(self.database) as session:
            claim = leases.claim(session, job_id, "w", 60)
        assert claim is not None
        self.at_work.append(claim)

    def end(self, which: int) -> None:
        claim = self.at_work.pop(which)
        assert claim.plan is not None
        outcome = Outcome(self.nodes[claim.plan.number - 1].end, Reason.EXIT_CODE)
        with transaction(self.database) as session:
            store.finish_job(session, claim.job_id, claim.attempt, outcome)

    def lose(self, which: int) -> None:
        claim = self.at_work.pop(which)
        with transaction(self.database) as session:
            leases.reap(session, held_by(session, claim.job_id), attempts_max=1000)


def check(database: Engine, nodes: list[Node], pick: st.DataObject) -> None:
    workers = Workers(database, nodes, pick)
    while workers.go_on():
        pass
    with reading(database) as session:
        run = store.run_by_id(session, workers.run_id)
        jobs = store.jobs_of(session, workers.run_id)
    expected = model(nodes)
    assert [job.state for job in jobs] == expected
    assert run is not None
    assert (run.state, run.finished_ms is not None) == (verdict(expected), True)


@pytest.mark.stress
def test_in_any_order_of_ends_the_jobs_and_their_run_end_as_the_model_says(database: Engine) -> None:
    slow_is_fine = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    slow_is_fine(given(graphs(), st.data())(lambda nodes, pick: check(database, nodes, pick)))()
