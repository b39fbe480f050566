"""The pages as a browser without JavaScript gets them."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from pipelines.plan import CommandsStep, Container, JobPlan, LeftOut, NamedImage, Plan
from pipelines.state import Outcome, Reason, State
from runner.events import InstructionChanged, StepFinished, StepOutput, StepStarted, Stream
from tests.support.builders import job_plan, plan
from tests.support.plans import shell
from tests.web.conftest import REPO, Site, push
from web.server.app import create_app
from workers import store
from workers.db.session import transaction

HOSTILE = "<script>alert(1)</script> \"quoted\" 'ticked' $(touch owned) `id` {{ 7 * 7 }} &amp; </textarea>"
HOSTILE_BRANCH = "$(id)\";<script>alert('2')</script>"
RUN = f"/repos/{REPO}/runs/1"


class Tags(HTMLParser):
    """The tags of a page with their attributes, parsed as a browser does."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_no_foreign_markup(text: str) -> None:
    for tag, attributes in Tags(text).found:
        assert tag != "img"
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert "<style" not in text
    assert "49 &amp;amp;" not in text, "a template ran what a commit message said"


def test_the_front_page_of_a_new_server_shows_the_first_command(browser: TestClient) -> None:
    assert "headway repo add" in browser.get("/").text


def test_the_front_page_shows_repositories_and_recent_runs(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.add_repo("tools")
    site.queue(push("Warm the lights"))
    text = browser.get("/").text
    assert f'href="/repos/{REPO}"' in text
    assert f'href="{RUN}"' in text
    assert "Warm the lights" in text
    assert "No runs yet." in text


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", f"/repos/{REPO}", RUN, f"/repos/{REPO}/settings"])
def test_hostile_text_is_escaped_on_every_page(site: Site, browser: TestClient, path: str) -> None:
    site.add_repo()
    image = Container(image=NamedImage(name=HOSTILE))
    steps = (CommandsStep(number=1, name=HOSTILE, container=image, commands=("x",)),)
    job = JobPlan(name=HOSTILE, file=HOSTILE, number=1, cell={HOSTILE: HOSTILE}, steps=steps)
    plan = Plan(jobs=(job,), left_out=(LeftOut(what=HOSTILE, why=HOSTILE),))
    begun = site.begin(push(HOSTILE + "\n\n" + HOSTILE, HOSTILE_BRANCH, HOSTILE), plan)
    with begun.recorder() as record:
        record(StepStarted(1))
        record(InstructionChanged(1, 0, HOSTILE, error=HOSTILE))
        record(StepOutput(1, 0, HOSTILE.encode() + b"\n\x1b[31m" + HOSTILE.encode() + b"\x1b[0m", Stream.STDOUT))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, HOSTILE, 1)))
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, Outcome(State.FAILED, message=HOSTILE))
    answer = browser.get(path)
    assert answer.status_code == 200
    assert_no_foreign_markup(answer.text)
    if path == RUN:
        assert answer.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10


@pytest.mark.parametrize("path", ["/repos/no/such", f"{RUN}0", "/nonsense", "/repos/no/such/settings"])
def test_a_404_is_a_page_in_the_same_design(site: Site, browser: TestClient, path: str) -> None:
    site.add_repo()
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "headway.css" in answer.text


def test_a_404_has_the_menu_for_who_is_logged_in_and_for_no_other(site: Site, browser: TestClient) -> None:
    assert 'aria-label="Main"' in browser.get("/nonsense").text
    browser.cookies.clear()
    answer = browser.get("/nonsense")
    assert answer.status_code == 404
    assert 'aria-label="Main"' not in answer.text


def test_a_green_run_opens_on_its_last_step_and_says_which_failed_step_was_ignored(
    site: Site, browser: TestClient
) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        for number, state in ((1, State.FAILED), (2, State.PASSED)):
            record(StepStarted(number))
            record(StepFinished(number, Outcome(state, Reason.EXIT_CODE, "It ended with exit status 1.", 1)))
    running = browser.get(RUN).text
    assert 'aria-label="Step build"' in running
    assert "ignored" not in running
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, Outcome(State.PASSED))
    text = browser.get(RUN).text
    assert 'aria-label="Step build"' not in text
    assert text.count(">ignored</span>") == 1
    assert 'data-state="ignored"' in text
    failed = browser.get(f"{RUN}?step={begun.steps[1]}").text
    assert "ignored: the pipeline says so" in failed


def test_a_red_run_opens_on_the_step_that_it_failed_of_and_not_on_an_ignored_one(
    site: Site, browser: TestClient
) -> None:
    site.add_repo()
    lint = shell("true", name="lint").model_copy(update={"number": 1, "failure": "ignore"})
    unit = shell("true", name="unit").model_copy(update={"number": 2})
    begun = site.begin(plan=plan(job_plan("", 1).model_copy(update={"steps": (lint, unit)})))
    with begun.recorder() as record:
        for number in (1, 2):
            record(StepStarted(number))
            record(StepFinished(number, Outcome(State.FAILED, Reason.EXIT_CODE, "It ended with exit status 1.", 1)))
    with transaction(site.engine) as session:
        store.finish_job(
            session, begun.queued.job_id, begun.claim.attempt, Outcome(State.FAILED, Reason.EXIT_CODE, "x")
        )
    text = browser.get(RUN).text
    assert 'aria-label="Step unit"' in text
    assert text.count(">ignored</span>") == 1


def test_an_internal_error_is_a_page_without_details(site: Site) -> None:
    app = create_app(site.services)

    @app.get("/fault")
    def _fault() -> None:
        raise RuntimeError("the password is hunter2")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/fault")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Headway made a mistake" in answer.text


@pytest.mark.slow
def test_pages_declare_their_language_and_every_button_has_a_label(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin()
    for path in ("/", RUN, f"/repos/{REPO}/settings", "/account", "/login"):
        text = browser.get(path).text
        assert '<html lang="en">' in text
        for _, rest in re.findall(r"<button([^>]*)>(.*?)</button>", text, re.DOTALL):
            assert re.sub(r"<[^>]+>", "", rest).strip(), path
