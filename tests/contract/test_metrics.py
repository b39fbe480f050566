"""What ``/metrics`` reads, on both databases."""

from sqlalchemy import Engine, update

from pipelines.state import State
from tests.support.builders import push
from workers import store
from workers.db.models import Job, Run
from workers.db.session import now_ms, reading, transaction
from workers.store.runs import metrics


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
