"""Reports on both databases: what is stored, what is new, what is flaky, and what is removed when."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, select, update

from pipelines.state import PASSED
from runner.report_results import CaseName, Coverage, StepReports
from tests.support.builders import job_plan, plan, push
from tests.support.reports import step_reports
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.blobs import LocalBlobs
from workers.db.models import ArtifactBlob, Repo, Run, StepReport, TestFailure
from workers.db.session import reading, transaction
from workers.reports.storage import StoredReports, cases_of
from workers.store import reports as rows
from workers.store.jobs import leases

Shown = list[tuple[str, str, bool]]


@dataclass
class Place:
    """An installation with one repository."""

    database: Engine
    repo_id: int
    blobs: LocalBlobs

    def job(self, sha: str = "a" * 40, branch: str = "main") -> leases.Claim:
        """The job of a new run, claimed and planned."""
        with transaction(self.database) as session:
            job_id = store.queue_run(session, self.repo_id, push(branch=branch, sha=sha)).job_id
            claim = leases.claim(session, job_id, "w1", 15)
            assert claim is not None
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("build", 1)))
        return claim

    def judge(self, claim: leases.Claim, *, on_branch: bool) -> None:
        """Git has said whether a branch has the commit."""
        with transaction(self.database) as session:
            session.execute(update(Run).where(Run.id == claim.run_id).values(on_branch=on_branch))

    def keep(self, claim: leases.Claim, reports: StepReports, step: int = 1) -> None:
        StoredReports(self.database, self.blobs, claim, self.repo_id).keep(step, reports)

    def end(self, claim: leases.Claim) -> None:
        with transaction(self.database) as session:
            store.finish_job(session, claim.job_id, claim.attempt, PASSED)

    def failures(self, claim: leases.Claim) -> Shown:
        """The rows of the tests of a run: name, state, flaky."""
        with reading(self.database) as session:
            ids = [each.report.id for each in rows.reports_of_run(session, claim.run_id)]
            return [(each.name, each.state, each.flaky) for each in rows.failures_of(session, ids, 1000)]

    def compared(self, claim: leases.Claim) -> int | None:
        with reading(self.database) as session:
            run, repo = session.get_one(Run, claim.run_id), session.get_one(Repo, self.repo_id)
            found = rows.compared_run(session, repo, run)
            return found.number if found else None

    def count(self, table: type[StepReport | TestFailure | ArtifactBlob]) -> int:
        with reading(self.database) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def place(database: Engine, repo_id: int, tmp_path: Path) -> Place:
    (tmp_path / "blobs").mkdir()
    return Place(database, repo_id, LocalBlobs(tmp_path / "blobs"))


def test_failed_tests_are_rows_and_all_tests_one_blob(place: Place) -> None:
    claim = place.job()
    place.keep(claim, step_reports("one two", "three", Coverage(3, 4)))
    assert place.failures(claim) == [("three", "failed", False)]
    with reading(place.database) as session:
        (shown,) = rows.reports_of_run(session, claim.run_id)
        (failure,) = rows.failures_of(session, [shown.report.id], 10)
    report = shown.report
    assert (report.counts, report.covered_lines, report.total_lines) == ({"passed": 2, "failed": 1}, 3, 4)
    assert (shown.job.name, shown.step_name, report.duration_ms) == ("build", "step-1", 30)
    assert (failure.file, failure.line, failure.message) == ("tests/test_a.py", 10, "assert three")
    lines = b"".join(cases_of(place.blobs, report)).decode().split()
    assert lines[:2] == ["passed", "unit"]
    assert {"one", "two", "three"} <= set(lines)


def test_a_further_attempt_replaces_the_one_before_and_shows_what_is_flaky(place: Place) -> None:
    claim = place.job()
    place.keep(claim, step_reports("one", "two three"))
    place.keep(claim, step_reports("one two", "three"))
    assert place.failures(claim) == [("three", "failed", False), ("two", "passed", True)]
    place.keep(claim, step_reports("one two", "three"))  # a process that goes on with the job reads them again
    assert place.failures(claim) == [("three", "failed", False), ("two", "passed", True)]
    assert place.count(StepReport) == 1


def test_red_and_green_at_one_commit_is_flaky_in_both_orders(place: Place) -> None:
    red, green, again, other = place.job(), place.job(), place.job(), place.job("b" * 40)
    place.keep(red, step_reports("one", "two"))
    place.keep(green, step_reports("one two"))
    place.keep(again, step_reports("two", "one"))
    place.keep(other, step_reports("", "one two"))
    assert place.failures(red) == [("two", "failed", False)]
    assert place.failures(green) == [("two", "passed", True)]
    assert place.failures(again) == [("one", "failed", True), ("two", "passed", True)]
    assert place.failures(other) == [("one", "failed", False), ("two", "failed", False)]


def test_what_an_untrusted_run_reported_is_in_no_report_of_a_trusted_one(place: Place) -> None:
    """A fork's commit may be merged as it is: then it is the commit of a trusted run, too."""
    fork, trusted, again = place.job(), place.job(), place.job()
    for claim, on_branch in ((fork, False), (trusted, True), (again, True)):
        place.judge(claim, on_branch=on_branch)
    place.keep(fork, step_reports("one", "two"))
    place.keep(trusted, step_reports("two", "one"))
    assert place.failures(trusted) == [("one", "failed", False)]
    place.keep(again, step_reports("one two"))
    assert place.failures(again) == [("one", "passed", True)]


def test_an_untrusted_commit_that_was_run_by_hand_as_that_of_main_is_not_compared_with(place: Place) -> None:
    trusted, untrusted, feature = place.job(), place.job(), place.job(branch="feature")
    place.judge(trusted, on_branch=True)
    place.judge(untrusted, on_branch=False)
    for claim in (trusted, untrusted):
        place.keep(claim, step_reports("", "a"))
        place.end(claim)
    assert place.compared(feature) == 1


def test_the_run_to_compare_with_is_the_last_one_of_the_default_branch_that_has_ended_with_reports(
    place: Place,
) -> None:
    first, second, none, feature = place.job(), place.job(), place.job(), place.job(branch="feature")
    for claim, names in ((first, "a"), (second, "b"), (feature, "b")):
        place.keep(claim, step_reports("", names))
    assert place.compared(feature) is None, "none has ended"
    for claim in (first, second, none):
        place.end(claim)
    assert (place.compared(feature), place.compared(second), place.compared(first)) == (2, 1, None)
    with reading(place.database) as session:
        keys = rows.failed_keys(session, second.run_id)
    assert keys == {rows.key_of(CaseName("unit", "tests.test_a", "b"))}


def test_reports_with_their_runs_come_newest_first_and_say_how_a_test_failed_in_them(place: Place) -> None:
    claims = [place.job(str(number) * 40) for number in range(3)]
    for claim in claims:
        place.keep(claim, step_reports("", "one"))
    key = rows.key_of(CaseName("unit", "tests.test_a", "one"))
    with reading(place.database) as session:
        newest, middle = rows.reports_with_tests(session, place.repo_id, 2)
        (oldest,) = rows.reports_with_tests(session, place.repo_id, 2, middle[0].id)
        failures = rows.failures_of_test(session, [newest[0].id, oldest[0].id], key)
        assert rows.failures_of_test(session, [newest[0].id], "0" * 32) == {}
        assert rows.reports_with_tests(session, place.repo_id + 1, 2) == []
    assert [run.number for _, run in (newest, middle, oldest)] == [3, 2, 1]
    assert {report: row.name for report, row in failures.items()} == {newest[0].id: "one", oldest[0].id: "one"}


def test_an_attempt_that_is_over_stores_nothing(place: Place) -> None:
    claim = place.job()
    place.end(claim)
    with pytest.raises(store.StaleAttemptError):
        place.keep(claim, step_reports("one"))
    assert place.count(StepReport) == 0


def test_reports_go_with_their_run_and_then_their_blobs(place: Place) -> None:
    claim = place.job()
    place.keep(claim, step_reports("one", "two"))
    with transaction(place.database) as session:
        session.execute(update(ArtifactBlob).values(used_ms=0))
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert place.count(ArtifactBlob) == 1, "a report uses it"
    with transaction(place.database) as session:
        session.execute(delete(Run).where(Run.id == claim.run_id))
    assert (place.count(StepReport), place.count(TestFailure)) == (0, 0)
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert list(place.blobs.names("artifacts")) == []


def test_a_blob_that_was_dropped_meanwhile_is_not_named(place: Place) -> None:
    claim = place.job()
    with transaction(place.database) as session:
        blob = rows.CasesBlob("gone", 1, "x")
        assert not rows.replace_reports(session, (claim.job_id, claim.attempt, 1), StepReports(), (), blob)
    assert place.count(StepReport) == 0


def test_without_the_blob_store_the_rows_are_stored(place: Place, tmp_path: Path) -> None:
    claim = place.job()
    (tmp_path / "blobs").rename(tmp_path / "away")
    (tmp_path / "blobs").write_text("no folder")
    place.keep(claim, step_reports("one", "two"))
    assert place.failures(claim) == [("two", "failed", False)]
    with reading(place.database) as session:
        (shown,) = rows.reports_of_run(session, claim.run_id)
    assert shown.report.blob_key is None
    assert list(cases_of(place.blobs, shown.report)) == []


def test_an_earlier_blob_that_cannot_be_read_is_no_hindrance(place: Place) -> None:
    first, second = place.job(), place.job()
    place.keep(first, step_reports("one"))
    place.blobs.delete(list(place.blobs.names("artifacts")))
    place.keep(second, step_reports("", "one"))
    assert place.failures(second) == [("one", "failed", False)]
