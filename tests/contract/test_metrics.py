"""What ``/metrics`` reads, on both databases."""

from sqlalchemy import Engine, update

from pipelines.state import State
from tests.support.builders import push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import now_ms, reading, transaction
from workers.store.runs import metrics
from workers.store.runs.demand import demand


def test_the_queue_and_the_runs_that_have_ended(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        start = metrics.here_and_now(session)
        ended, _ = (store.queue_run(session, repo_id, push()) for _ in range(2))
        values = {"state": State.PASSED, "finished_ms": now_ms() - 2_000}
        session.execute(update(Run).where(Run.id == ended.run_id).values(values))
        session.execute(update(Job).where(Job.id == ended.job_id).values(values | {"lane": None}))
    with reading(database) as session:
        (lane,) = metrics.jobs_for_workers(session)
        assert (lane.labels, lane.jobs) == ({}, 1)
        assert metrics.waits(session) == dict.fromkeys(metrics.WAITS, 0) | {"worker": 1}
        assert metrics.running_jobs(session) == 0
        found = metrics.ended_runs(session, metrics.Position(start.finished_ms - 60_000))
        assert [run.id for run in found.runs] == [ended.run_id]
        assert [job.needs for job in found.jobs] == [[]]
        assert metrics.ended_runs(session, found.position) == metrics.EndedRuns((), (), found.position)


def test_the_demand_for_workers_by_labels(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        jobs = [store.queue_run(session, repo_id, push()).job_id for _ in range(4)]
        session.execute(update(Job).where(Job.id.in_(jobs[:2])).values(state=State.RUNNING, lane=None))
        session.execute(update(Job).where(Job.id == jobs[1]).values(labels={"gpu": "true", "none": ""}))
        session.execute(update(Job).where(Job.id == jobs[2]).values(created_ms=Job.created_ms - 60_000))
    with reading(database) as session:
        plain, gpu = demand(session)
    assert (plain.labels, plain.queued, plain.running, plain.slots) == ({}, 2, 1, 3)
    assert 60 <= plain.oldest_s < 600
    assert (gpu.labels, gpu.queued, gpu.running, gpu.slots, gpu.oldest_s) == ({"gpu": "true"}, 0, 1, 1, 0.0)


def test_without_a_job_no_worker_is_wanted(database: Engine) -> None:
    with reading(database) as session:
        assert demand(session) == []
