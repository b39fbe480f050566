"""The queue: its page and the API."""

import re

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.state import State
from tests.support.builders import job_plan, plan
from tests.web.api.test_workers import add_worker
from tests.web.conftest import REPO, Site
from web.operations.queue import listing
from web.operations.queue.estimates import NO_WORKER
from web.pages.operations.queue import JOBS_ON_A_PAGE, LABELS_SHOWN_MAX
from workers import store
from workers.db.models import Job
from workers.db.session import db_now_ms, transaction
from workers.store.jobs import delays
from workers.store.jobs.queued_jobs import COUNTED_MAX

pytestmark = pytest.mark.slow


def set_job(site: Site, job_id: int, **values: object) -> None:
    with transaction(site.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def test_a_job_without_a_worker_has_its_reason_and_no_estimate(site: Site, browser: TestClient) -> None:
    site.add_repo()
    queued = site.queue()
    set_job(site, queued.job_id, labels={"gpu": "<b>"}, lane="x")
    (job,) = browser.get("/api/queue/jobs").json()
    assert (job["repo"], job["run"], job["title"], job["labels"]) == (REPO, 1, "pipeline", {"gpu": "<b>"})
    assert job["waits_for"] == "Waits for a worker, and none is running. Start one: headway worker."
    assert (job["starts_in_ms"], job["no_estimate"]) == (None, NO_WORKER)
    text = browser.get("/queue").text
    assert f'href="/repos/{REPO}/runs/1">{REPO} #1</a>' in text
    assert f"No estimate. {NO_WORKER}" in text
    assert "1 job waits" in text
    assert "<code>gpu=&lt;b&gt;</code>" in text


def test_jobs_have_an_estimate_from_earlier_ones(site: Site, browser: TestClient) -> None:
    site.add_repo()
    add_worker(site)
    past = site.queue()
    # It took half an hour.
    set_job(site, past.job_id, state=State.PASSED, lane=None, started_ms=1, finished_ms=1_800_001)
    with transaction(site.engine) as session:
        now = db_now_ms(session)
    for _ in range(2):
        running = site.queue()
        values = {"state": State.RUNNING, "lane": None, "lease_owner": "host-1/1", "started_ms": now - 60_000}
        set_job(site, running.job_id, **values)
    waiting = site.queue()
    (job,) = browser.get("/api/queue/jobs").json()
    assert (job["id"], job["no_estimate"]) == (waiting.job_id, "")
    assert 1_000_000 < job["starts_in_ms"] <= 1_740_000, "29 minutes, and less when the test is slow"
    assert re.search(r"<b>starts in about \d\d min</b>", browser.get("/queue").text)
    set_job(site, running.job_id, state=State.PASSED, started_ms=1, finished_ms=1_800_001)
    assert browser.get("/api/queue/jobs").json()[0]["starts_in_ms"] == 0
    assert "<b>starts now</b>" in browser.get("/queue").text


def test_a_job_that_waits_for_anything_else_says_why_there_is_no_estimate(site: Site, browser: TestClient) -> None:
    site.add_repo()
    add_worker(site)
    site.begin(plan=plan(job_plan("build", 1), job_plan("test", 2, ("build",))))
    held, turn, paused = site.queue(), site.queue(), site.begin()
    set_job(site, held.job_id, ready=False, lane=None)
    set_job(site, turn.job_id, group_key="g", group_name="prod", lane=None)
    with transaction(site.engine) as session:
        delays.delay(session, paused.queued.job_id, paused.claim.attempt, delays.Delay("git.corp is away", 300))
    found = {job["id"]: job for job in browser.get("/api/queue/jobs").json()}
    said = {found[each]["no_estimate"] for each in (held.job_id, turn.job_id, paused.queued.job_id)}
    assert said == {"A person decides.", "Its concurrency group decides.", "Not before its pause ends."}
    (test,) = (job for job in found.values() if job["title"] == "test")
    assert test["waits_for"] == "Waits for 'build', which it depends on."
    assert test["no_estimate"] == "Other jobs have to end before."
    text = browser.get("/queue").text
    for words in ("for approval", "for other jobs", "for a turn in a concurrency group", "for another attempt"):
        assert f"<span>1 {words}</span>" in text


def test_the_queue_is_read_a_page_at_a_time(site: Site, browser: TestClient) -> None:
    site.add_repo()
    jobs = [site.queue().job_id for _ in range(JOBS_ON_A_PAGE + 1)]
    first = browser.get("/queue").text
    assert f'href="/queue?after={jobs[-2]}">Next' in first
    second = browser.get(f"/queue?after={jobs[-2]}").text
    assert f"#{len(jobs)}</a>" in second
    assert ">Next<" not in second
    assert "Nothing is behind these." in browser.get(f"/queue?after={jobs[-1]}").text
    answer = browser.get("/api/queue/jobs?limit=1")
    assert answer.links["next"]["url"] == f"/api/queue/jobs?limit=1&after={jobs[0]}"
    assert [job["id"] for job in browser.get("/api/queue/jobs?limit=100").json()] == jobs
    assert browser.get("/api/queue/jobs?limit=101").status_code == 422


def test_an_empty_queue(browser: TestClient) -> None:
    assert "No job waits" in browser.get("/queue").text
    assert browser.get("/api/queue/jobs").json() == []


def test_behind_many_jobs_there_is_no_estimate(
    site: Site, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_repo()
    add_worker(site)
    for _ in range(listing.JOBS_SIMULATED_MAX + 1):
        site.queue()
    last, behind = browser.get("/api/queue/jobs?after=199").json()
    assert last["no_estimate"] != listing.BEHIND_MANY
    assert behind["no_estimate"] == listing.BEHIND_MANY == "More than 200 jobs are ahead of it."


def test_many_sets_of_labels_and_many_jobs(site: Site, browser: TestClient) -> None:
    site.add_repo()
    for number in range(LABELS_SHOWN_MAX + 1):
        set_job(site, site.queue().job_id, labels={"gpu": str(number)}, lane=f"lane-{number}")
    assert "And 1 more sets of labels." in browser.get("/queue").text
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo
        run = store.runs_of(session, repo.id, None, 1)[0]
        rest = COUNTED_MAX - LABELS_SHOWN_MAX
        session.add_all(Job(run_id=run.id, repo_id=repo.id, number=2 + n, lane="", created_ms=1) for n in range(rest))
    text = browser.get("/queue").text
    assert "More than 1,000 jobs wait" in text
    assert "Of the first 1,000:" in text


def test_only_administrators_see_it(site: Site, guest: TestClient) -> None:
    site.add_repo()
    site.queue()
    for path in ("/queue", "/api/queue/jobs"):
        answer = guest.get(path)
        assert answer.status_code == 403
        assert REPO not in answer.text
    assert 'href="/queue"' not in guest.get("/workers").text
