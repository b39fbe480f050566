"""What a run's page says, and where it leads."""

import pytest
from starlette.testclient import TestClient

from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event
from runner.events import StepFinished, StepStarted
from tests.support.builders import job_plan, plan, push
from tests.web.conftest import REPO, SHA, Site
from workers import store
from workers.db.session import transaction

RUN = f"/repos/{REPO}/runs/1"


def test_jobs_stand_after_those_that_they_need(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin(plan=plan(job_plan("deploy", 1, ("test",)), job_plan("test", 2)))
    text = browser.get(RUN).text
    assert text.index(">test</span>") < text.index(">deploy</span>")


@pytest.mark.parametrize(
    ("forge", "there"), [("github", f"/commit/{SHA}"), ("gitlab", f"/-/commit/{SHA}"), ("bitbucket", f"/commits/{SHA}")]
)
def test_a_commit_leads_to_its_forge(site: Site, browser: TestClient, forge: str, there: str) -> None:
    site.add_repo(forge=forge)
    site.queue()
    for path in ("/", f"/repos/{REPO}", RUN):
        assert f'href="https://git.test/{REPO}{there}"' in browser.get(path).text


def test_a_plain_repository_has_no_page_of_its_commits(site: Site, browser: TestClient) -> None:
    site.add_repo(forge="generic")
    site.queue()
    assert f'<code title="{SHA}">' in browser.get(RUN).text
    assert "https://git.test" not in browser.get(RUN).text


def test_what_a_step_and_its_run_both_say_is_said_once(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 7", 7)))
    verdict = Outcome(State.FAILED, Reason.EXIT_CODE, "step 'build': exited with 7")
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, verdict)
    assert browser.get(RUN).text.count("exited with 7") == 1


def test_who_asked_for_a_run_by_hand_is_named(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue(push().model_copy(update={"event": Event.MANUAL, "sender": "mona"}))
    site.queue(push().model_copy(update={"sender": "mona"}))
    assert "started by mona" in browser.get(RUN).text
    assert "started by" not in browser.get(f"/repos/{REPO}/runs/2").text
