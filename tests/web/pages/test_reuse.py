"""Steps that did not run again: what the page and the API say of them, and how a person asks for all to run."""

import pytest
from starlette.testclient import TestClient

from pipelines.state import PASSED
from runner.events import StepFinished, StepStarted
from tests.web.conftest import REPO, Site
from workers import store
from workers.db.session import transaction

RUN = f"/repos/{REPO}/runs/1"


def reused(site: Site) -> None:
    """A run of two steps, of which the first has the result of run 1."""
    begun = site.begin()
    with begun.recorder() as record:
        for number in (1, 2):
            record(StepStarted(number))
            record(StepFinished(number, PASSED))
    with transaction(site.engine) as session:
        step = store.steps_of_run(session, site.run(1).id)[0]
        step.facts = {"reused": {"run": 41, "duration_ms": 192_000}}
        step.message = "unchanged since run 41, saved 3m 12s"


def test_the_page_and_the_api_say_from_which_run_a_result_is(site: Site, browser: TestClient) -> None:
    site.add_repo()
    reused(site)
    steps = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"][0]["steps"]
    assert steps[0]["facts"]["reused"] == {"run": 41, "duration_ms": 192_000}
    first, second = (browser.get(RUN, params={"step": step["id"]}).text for step in steps[:2])
    link = f'did not run again; ran in <a href="/repos/{REPO}/runs/41">#41</a>'
    assert link in first
    assert "unchanged since run 41, saved 3m 12s" in first
    assert link not in second


@pytest.mark.parametrize("asked", [True, False])
def test_a_run_and_a_re_run_can_be_asked_for_without_reuse(site: Site, browser: TestClient, *, asked: bool) -> None:
    site.add_repo()
    form = {"no_reuse": "true"} if asked else {}
    assert browser.post(f"/repos/{REPO}/runs", data=form).status_code == 303
    assert browser.post(f"/api/repos/{REPO}/runs", json={"no_reuse": asked}).status_code == 202
    with transaction(site.engine) as session:
        for number in (1, 2):
            store.request_cancel(session, site.run(number).id, "ada")
    assert browser.post(f"/repos/{REPO}/runs/1/rerun", data=form).status_code == 303
    assert browser.post(f"/api/repos/{REPO}/runs/1/rerun", json={"no_reuse": asked}).status_code == 202
    assert [store.trigger_of(site.run(number)).no_reuse for number in (1, 2, 3, 4)] == [asked] * 4
