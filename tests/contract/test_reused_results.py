"""Results that later runs take, on both databases: when they count, what is taken, and when they are gone."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from pipelines.state import State
from tests.contract.test_reruns import FAILED, Place
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.blobs import LocalBlobs
from workers.db.models import Artifact, StoredLog
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.store.reruns.reused_steps import FoundResult, NewResult, keep_result, latest_result, result_with_key
from workers.store.reruns.reused_steps import take_result as take

ONE = plan(job_plan("build", 1))
NEW = NewResult(1, "key", "title", {"image": "sha256:0123456789abcdef"}, 2500)


class Results(Place):
    """A place whose first step leaves a result."""

    def leave(self, *, passes: bool = True) -> int:
        """A run whose first step has left a result; the run's id."""
        self.before_end = self.keep
        return self.first(ONE, {} if passes else {"build": FAILED})

    def keep(self, claim: leases.Claim) -> None:
        with transaction(self.database) as session:
            keep_result(session, self.repo_id, claim.job_id, claim.attempt, NEW)

    def found(self, repo_id: int | None = None) -> FoundResult | None:
        with reading(self.database) as session:
            return result_with_key(session, repo_id or self.repo_id, "key")

    def take(self) -> tuple[bool, int, int]:
        """Takes the result in a new run. Whether it could, the run's id and the job's."""
        found = self.found()
        with transaction(self.database) as session:
            queued = store.queue_run(session, self.repo_id, push())
        claim = self.claim(queued.job_id)
        with transaction(self.database) as session:
            store.plan_run(session, claim.job_id, claim.attempt, ONE)
        taken = []
        for _ in range(2):  # as if the acknowledgement of the commit was lost
            with transaction(self.database) as session:
                record = found.record.id if found else 1
                taken.append(take(session, claim.job_id, claim.attempt, record, "unchanged since run 1"))
        assert taken[0] is taken[1]
        return taken[0], queued.run_id, claim.job_id


@pytest.fixture
def results(database: Engine, repo_id: int, tmp_path: Path) -> Results:
    (tmp_path / "blobs").mkdir(exist_ok=True)
    return Results(database, repo_id, tmp_path, LocalBlobs(tmp_path / "blobs"))


def test_a_result_of_a_run_that_passed_is_taken_with_all_that_it_left(results: Results) -> None:
    first = results.leave()
    found = results.found()
    assert found is not None
    assert (found.run_number, found.record.parts, found.record.artifacts) == (1, {"image": "sha256:012345678"}, 1)
    assert [each.path for each in found.artifacts] == ["of-build"]
    taken, run_id, _ = results.take()
    assert taken
    one, two = results.steps(run_id, "build")
    assert (one.state, one.message, one.facts["reused"]) == (
        State.PASSED, "unchanged since run 1", {"run": 1, "duration_ms": 2500},
    )  # fmt: skip
    assert two.state is State.QUEUED
    assert results.log(run_id, "build") == "build step-1 of run 1\n"
    assert results.artifacts(run_id) == {"of-build": "build 1"}
    assert results.failed_tests(run_id) == {"build step-1": "bad-build-1"}
    results.remove(first)
    assert results.found() is None, "a result goes with its run"
    assert results.log(run_id, "build") == "build step-1 of run 1\n"
    assert results.artifacts(run_id) == {"of-build": "build 1"}


def test_a_result_of_a_run_that_failed_or_of_another_repository_does_not_count(results: Results) -> None:
    results.leave(passes=False)
    assert results.found() is None
    results.leave()
    assert results.found() is not None
    assert results.found(results.repo_id + 1) is None
    with reading(results.database) as session:
        latest = latest_result(session, results.repo_id, "title")
        assert latest_result(session, results.repo_id, "other") is None
    assert latest is not None
    assert latest.run_number == 2


def test_a_result_without_all_of_its_artifacts_or_its_log_does_not_count(results: Results) -> None:
    results.leave()
    with transaction(results.database) as session:
        session.execute(update(StoredLog).values(job_id=None))
    taken, _, _ = results.take()
    assert not taken
    with transaction(results.database) as session:
        session.execute(update(Artifact).values(expires_ms=1))
    assert results.found() is None


def test_the_next_attempt_of_a_job_decides_anew(results: Results) -> None:
    results.leave()
    _, run_id, job_id = results.take()
    with transaction(results.database) as session:
        leases.release(session, job_id, 1)
    results.claim(job_id)
    one, _ = results.steps(run_id, "build")
    assert (one.state, one.facts, one.message, one.log_bytes) == (State.QUEUED, {}, "", 0)
    assert results.artifacts(run_id) == {}
    assert results.failed_tests(run_id) == {}
