"""What rows tell of a run: the span of each job with its time in the queue, and that of the run with its last job."""

import pytest
from sqlalchemy import Engine, update

from pipelines.state import PASSED, Outcome, Reason, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.tracing.rows import ended_spans, failure_of, result_of
from workers.tracing.span import Span, Trace

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "secret words of a message", 1)


class Site:
    """A run with two jobs."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        with transaction(database) as session:
            repo = store.add_repo(session, store.NewRepo("team/app", "https://git.example.com/app")).id
            queued = store.queue_run(session, repo, push())
            self.run_id, first = queued.run_id, queued.job_id
            claim = leases.claim(session, first, "w-1/1", 60, "host-1")
            assert claim is not None
            store.plan_run(session, first, claim.attempt, plan(job_plan("one"), job_plan("two", 2)), lambda _: True)
        with reading(database) as session:
            self.jobs = [job.id for job in session.query(Job).order_by(Job.number)]

    def claim(self, job_id: int) -> None:
        with transaction(self.database) as session:
            leases.claim(session, job_id, "w-1/1", 60, "host-1")

    def finish(self, job_id: int, outcome: Outcome) -> None:
        with transaction(self.database) as session:
            attempt = session.get_one(Job, job_id).attempt
            store.finish_job(session, job_id, attempt, outcome)

    def spans(self, job_id: int, attempt: int | None = None) -> dict[str, Span]:
        with reading(self.database) as session:
            found = ended_spans(session, "0a1b", lambda repo, number: f"/{repo}/{number}", job_id, attempt)
        return {span.name: span for span in found}

    @property
    def trace(self) -> Trace:
        with reading(self.database) as session:
            return Trace("0a1b", self.run_id, session.get_one(Run, self.run_id).created_ms)


@pytest.fixture
def site(sqlite_database: Engine) -> Site:
    return Site(sqlite_database)


def test_a_job_that_runs_has_no_span_yet(site: Site) -> None:
    assert site.spans(site.jobs[0]) == {}
    assert site.spans(404) == {}


def test_a_job_has_its_span_and_its_time_in_the_queue(site: Site) -> None:
    one, two = site.jobs
    site.finish(one, FAILED)
    found = site.spans(one)
    assert sorted(found) == ["job one", "queue"], "the run has not ended"
    job, queue, trace = found["job one"], found["queue"], site.trace
    assert (job.id, job.parent, queue.parent) == (trace.job(one, 1), trace.root, trace.root)
    assert job.failure == "exit_code"
    assert job.attributes == {
        "cicd.pipeline.task.name": "one",
        "cicd.pipeline.task.run.id": str(one),
        "cicd.pipeline.task.run.result": "failure",
        "cicd.worker.name": "host-1",
        "headway.attempt": 1,
        "headway.reason": "exit_code",
    }
    assert queue.start_ns <= queue.end_ns == job.start_ns <= job.end_ns
    assert site.spans(two) == {}


def test_the_run_comes_with_the_job_that_ended_last_alone(site: Site) -> None:
    one, two = site.jobs
    site.claim(two)
    site.finish(two, FAILED)
    site.finish(one, PASSED)
    with transaction(site.database) as session:
        session.execute(update(Job).where(Job.id == two).values(finished_ms=Job.finished_ms - 5))
    assert "run team/app" not in site.spans(two)
    run = site.spans(one)["run team/app"]
    assert (run.id, run.parent, run.failure) == (site.trace.root, 0, "exit_code")
    assert run.attributes["cicd.pipeline.result"] == "failure"
    assert run.attributes["cicd.pipeline.run.url.full"] == "/team/app/1"


def test_of_two_that_ended_in_the_same_millisecond_one_brings_the_run(site: Site) -> None:
    one, two = site.jobs
    site.claim(two)
    site.finish(two, PASSED)
    site.finish(one, PASSED)
    with transaction(site.database) as session:
        session.execute(update(Job).values(finished_ms=7))
    assert ["run team/app" in site.spans(job) for job in site.jobs] == [False, True]


def test_a_job_that_never_ran_does_not_bring_the_run(site: Site) -> None:
    one, two = site.jobs
    with transaction(site.database) as session:
        store.request_cancel(session, site.run_id, "Ada")
    site.finish(one, Outcome(State.CANCELED, Reason.CANCELED, "canceled by Ada"))
    assert site.spans(two) == {}
    run = site.spans(one)["run team/app"]
    assert (run.attributes["cicd.pipeline.result"], run.failure) == ("cancellation", "")


def test_the_end_of_another_attempt_is_not_this_ones(site: Site) -> None:
    one, _ = site.jobs
    site.finish(one, PASSED)
    assert site.spans(one, attempt=2) == {}
    assert site.spans(one, attempt=1) != {}


def test_a_later_attempt_has_another_span_and_no_time_in_the_queue(site: Site) -> None:
    one, _ = site.jobs
    with transaction(site.database) as session:
        leases.release(session, one, 1)
    site.claim(one)
    site.finish(one, PASSED)
    found = site.spans(one)
    assert list(found) == ["job one"]
    assert found["job one"].id == site.trace.job(one, 2)


def test_no_sentence_of_a_job_gets_into_a_span(site: Site) -> None:
    site.finish(site.jobs[0], FAILED)
    assert "secret words" not in repr(site.spans(site.jobs[0]))


@pytest.mark.parametrize("state", [state for state in State if state.final])
def test_each_final_state_has_a_word(state: State) -> None:
    assert result_of(state)
    assert bool(failure_of(state, None)) == (state in {State.FAILED, State.BROKEN})
