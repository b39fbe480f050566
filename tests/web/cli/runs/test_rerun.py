"""``headway rerun``: a run, or a part of it, again."""

import pytest

from pipelines.state import PASSED, Outcome, Reason, State
from tests.support.builders import job_plan, plan, push
from tests.web.cli.command import URL, Headway
from workers import store
from workers.db.session import make_engine, transaction
from workers.settings import Settings
from workers.store.jobs import leases

pytestmark = pytest.mark.slow

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)


def test_a_part_of_a_run_runs_again(headway: Headway) -> None:
    headway.ok("repo", "add", URL, "--name", "acme/harbour")
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with transaction(engine) as session:
        repo = store.repo_by_name(session, "acme/harbour")
        assert repo is not None
        queued = store.queue_run(session, repo.id, push())
        claim = leases.claim(session, queued.job_id, "w1", 15)
        assert claim is not None
        store.plan_run(session, claim.job_id, claim.attempt, plan(job_plan("test"), job_plan("lint", 2)))
        store.finish_job(session, claim.job_id, claim.attempt, FAILED)
        other = store.jobs_of(session, queued.run_id)[1]
        second = leases.claim(session, other.id, "w1", 15)
        assert second is not None
        store.finish_job(session, second.job_id, second.attempt, PASSED)
    printed = headway.ok("rerun", "acme/harbour", "1", "--failed", "--reason", "the disk was full")
    assert printed.strip().endswith("/repos/acme/harbour/runs/2")
    assert headway.ok("rerun", "acme/harbour", "1", "--job", "lint", "--job", "test").strip().endswith("/3")
    with transaction(engine) as session:
        run = store.run_by_number(session, repo.id, 2)
        assert run is not None
        assert run.rerun is not None
        assert (run.rerun["reason"], len(run.rerun["again"])) == ("the disk was full", 1)
    assert "It has no job 'lnt'" in headway.refused("rerun", "acme/harbour", "1", "--job", "lnt")
    assert "are not kept" in headway.refused("rerun", "acme/harbour", "1", "--from-failed-step")
    assert "not both" in headway.refused("rerun", "acme/harbour", "1", "--job", "lint", "--failed")
    engine.dispose()
