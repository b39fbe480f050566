"""A part of a run, run again by the API and by the page's buttons."""

import pytest
from starlette.testclient import TestClient

from pipelines.state import PASSED, Outcome, Reason, State
from tests.support.builders import job_plan, plan
from tests.web.conftest import REPO, Site, push
from web.operations.reruns.request import JOBS_COUNT_MAX, REASON_CHARS_MAX
from workers import store
from workers.db.session import reading, transaction
from workers.store.accounts import audit
from workers.store.jobs import leases
from workers.store.reruns.kept_files import keep_files

pytestmark = pytest.mark.slow

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)
CELL = job_plan("test", 2).model_copy(update={"cell": {"PY": "3.12"}})
WHAT = plan(job_plan("build", 1), CELL)
RUN = f"/repos/{REPO}/runs"


def ended_run(site: Site) -> None:
    """A run whose first job has passed, and whose second, a cell of a matrix, has failed."""
    site.add_repo()
    begun = site.begin(push(), WHAT)
    with transaction(site.engine) as session:
        store.finish_job(session, begun.claim.job_id, begun.claim.attempt, PASSED)
        other = next(job for job in store.jobs_of(session, begun.queued.run_id) if job.id != begun.claim.job_id)
        claim = leases.claim(session, other.id, "tests", 3600)
        assert claim is not None
        store.finish_job(session, claim.job_id, claim.attempt, FAILED)


def planned(site: Site, number: int) -> None:
    """A worker plans this run."""
    with transaction(site.engine) as session:
        (job,) = store.jobs_of(session, site.run(number).id)
        claim = leases.claim(session, job.id, "tests", 3600)
        assert claim is not None
        store.plan_run(session, job.id, claim.attempt, WHAT)


def test_failed_jobs_run_again_and_all_is_kept_and_shown(site: Site, program: TestClient) -> None:
    ended_run(site)
    answer = program.post(f"/api{RUN}/1/rerun", json={"failed": True, "reason": "  a full\n disk "})
    assert (answer.status_code, answer.json()["run"]) == (202, 2)
    planned(site, 2)
    run = program.get(f"/api{RUN}/2").json()
    assert run["rerun"] == {"by": "ada", "reason": "a full disk", "what": "its failed jobs", "note": ""}
    assert [(job["name"], job["carried_from"], job["state"]) for job in run["jobs"]] == [
        ("build", 1, "passed"), ("test", None, "running"),
    ]  # fmt: skip
    assert [step["carried_from"] for step in run["jobs"][0]["steps"]] == [1, 1]
    assert program.get(f"/api{RUN}/1").json()["rerun"] is None
    with reading(site.engine) as session:
        entry = next(entry for entry in audit.entries(session, None, 10) if entry.action == "run.rerun")
    assert (entry.target, entry.detail) == (f"{REPO} #1", "as run 2, of its failed jobs; reason: a full disk")


def test_one_cell_runs_again(site: Site, program: TestClient) -> None:
    ended_run(site)
    assert program.post(f"/api{RUN}/1/rerun", json={"jobs": ["test 3.12"]}).status_code == 202
    planned(site, 2)
    assert program.get(f"/api{RUN}/2").json()["rerun"]["what"] == "test 3.12"


def test_all_of_it_runs_again_without_a_body(site: Site, program: TestClient) -> None:
    ended_run(site)
    assert program.post(f"/api{RUN}/1/rerun").status_code == 202
    planned(site, 2)
    run = program.get(f"/api{RUN}/2").json()
    assert [job["carried_from"] for job in run["jobs"]] == [None, None]
    assert (run["rerun"]["by"], run["rerun"]["what"]) == ("ada", "")


def test_what_cannot_be_run_again_is_refused_with_a_sentence(site: Site, program: TestClient) -> None:
    ended_run(site)
    at = f"/api{RUN}/1/rerun"
    unknown = program.post(at, json={"jobs": ["tset"]})
    assert unknown.status_code == 409
    assert "Nothing of run 1 would run again. It has no job 'tset'. It has 'build', 'test 3.12'." in unknown.text
    both = program.post(at, json={"jobs": ["test"], "failed": True})
    assert both.status_code == 422
    assert "not both" in both.text
    many = [f"j{number}" for number in range(JOBS_COUNT_MAX + 1)]
    assert f"at most {JOBS_COUNT_MAX} jobs" in program.post(at, json={"jobs": many}).text
    assert program.post(at, json={"jobs": many[:-1]}).status_code == 409
    assert f"{REASON_CHARS_MAX} are allowed" in program.post(at, json={"reason": "x" * (REASON_CHARS_MAX + 1)}).text
    assert program.post(at, json={"reason": "x" * REASON_CHARS_MAX}).status_code == 202


def test_of_a_run_that_was_never_planned_all_runs_again(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.queue()
    program.post(f"/api{RUN}/1/cancel")
    assert program.post(f"/api{RUN}/1/rerun", json={"failed": True}).status_code == 202
    planned(site, 2)
    assert [job["carried_from"] for job in program.get(f"/api{RUN}/2").json()["jobs"]] == [None, None]


def test_the_page_has_buttons_for_what_failed_and_for_each_job(site: Site, browser: TestClient) -> None:
    ended_run(site)
    text = browser.get(f"{RUN}/1").text
    assert '<button type="submit" name="failed" value="true">Re-run failed</button>' in text
    assert 'name="job" value="test 3.12"' in text
    form = {"failed": "true", "reason": "<b>again</b>"}
    assert browser.post(f"{RUN}/1/rerun", data=form).headers["location"] == f"{RUN}/2"
    planned(site, 2)
    shown = browser.get(f"{RUN}/2").text
    assert f'Carried over from run <a href="{RUN}/1">#1</a>' in shown
    assert "Reason of the re-run: <bdi>&lt;b&gt;again&lt;/b&gt;</bdi>" in shown
    assert "asked for by ada" in shown
    assert "Re-run failed" not in shown, "it has not ended"
    assert browser.post(f"{RUN}/1/rerun", data={"job": "test 3.12"}).headers["location"] == f"{RUN}/3"
    assert browser.post(f"{RUN}/1/rerun", data={"job": "none"}).status_code == 409


def test_the_page_and_the_api_offer_to_go_on_from_the_failed_step_while_its_files_are_kept(
    site: Site, browser: TestClient
) -> None:
    ended_run(site)
    button = "Re-run from the failed step"
    assert button not in browser.get(f"{RUN}/1").text
    refused = browser.post(f"{RUN}/1/rerun", data={"from_step": "true"})
    assert refused.status_code == 409
    assert "The files of job &#39;test 3.12&#39; are not kept" in refused.text
    with transaction(site.engine) as session:
        job = store.jobs_of(session, site.run(1).id)[1]
        assert keep_files(session, job.id, job.attempt, 1, 100)
    assert button in browser.get(f"{RUN}/1").text
    assert browser.get(f"/api{RUN}/1").json()["jobs"][1]["kept_until_ms"] > 0
    assert browser.post(f"{RUN}/1/rerun", data={"from_step": "true"}).headers["location"] == f"{RUN}/2"
    answer = browser.post(f"/api{RUN}/1/rerun", json={"from_failed_step": True, "jobs": ["test"]})
    assert answer.status_code == 202
    assert [site.run(number).rerun["what"] for number in (2, 3)] == [  # type: ignore[index]
        "its failed jobs, from the step that failed", "test, from the step that failed",
    ]  # fmt: skip
