"""Characters that hide or reorder others are shown on every page, whatever part of a repository they come from."""

import re
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from pipelines.plan import CommandsStep, Container, JobPlan, LeftOut, NamedImage, Plan
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, PullRequest, Trigger
from runner.events import InstructionChanged, StepFinished, StepOutput, StepStarted, Stream
from runner.report_results import CaseName, Coverage, CoveredFile, CoveredFiles, FailedTest, StepReports, TestResults
from tests.web.conftest import REPO, SHA, Site
from web.pages.templates import make_templates
from web.server.app import create_app
from workers import store
from workers.db.session import transaction
from workers.forges.kept_payload import kept_payload
from workers.store import NewDelivery

HIDDEN = "ok\u202e\u2066\x1b[2J\x9b\u200b\u200f\ufeff\x07\u2028end"
SHOWN = r"ok\u202e\u2066\x1b[2J\x9b\u200b\u200f\ufeff\x07\u2028end"
_RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.fixture
def hostile(site: Site) -> int:
    """A run of a fork that waits for approval, and one that ran: all of their texts are hostile. Its step's id."""
    site.add_repo()
    pull = PullRequest(
        number=7, title=HIDDEN, source_branch=HIDDEN, target_branch=HIDDEN, from_fork=True, author_id="7",
        labels=(HIDDEN,),
    )  # fmt: skip
    trigger = Trigger(
        event=Event.PULL_REQUEST, sha=SHA, ref=f"refs/pull/{HIDDEN}", branch=HIDDEN, pull_request=pull,
        message=f"{HIDDEN}\n\n{HIDDEN}", author=HIDDEN, sender=HIDDEN,
    )  # fmt: skip
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        store.queue_run(session, repo.id, trigger, held=True)
        payload = kept_payload({"user-agent": HIDDEN}, HIDDEN.encode(), "")
        store.record_delivery(session, repo.id, NewDelivery("d", HIDDEN, ref=HIDDEN, reason=HIDDEN, payload=payload))
    image = Container(image=NamedImage(name=HIDDEN))
    step = CommandsStep(number=1, name=HIDDEN, container=image, commands=("x",))
    job = JobPlan(name=HIDDEN, file=HIDDEN, number=1, cell={HIDDEN: HIDDEN}, steps=(step,))
    running = site.begin(trigger, Plan(jobs=(job,), left_out=(LeftOut(what=HIDDEN, why=HIDDEN),)))
    with running.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, f"{HIDDEN}\n".encode(), Stream.STDOUT))
        record(InstructionChanged(1, 0, HIDDEN, cached=False, seconds=1.0, error=HIDDEN))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, HIDDEN)))
    test = CaseName(HIDDEN, HIDDEN, HIDDEN)
    failed = FailedTest(test, "failed", HIDDEN, 1, HIDDEN, HIDDEN, 1)
    cases = f"\nfailed{test.line_start}{HIDDEN}\t1\n"
    results = TestResults({"failed": 1}, 1, (failed,), ((1, test),), cases)
    files = CoveredFiles((CoveredFile(HIDDEN, 1, 2),))
    running.report(StepReports(results, Coverage(1, 2), (HIDDEN,), files))
    running.keep("index.html", HIDDEN.encode())
    with transaction(site.engine) as session:
        store.finish_job(session, running.claim.job_id, 1, Outcome(State.FAILED, Reason.EXIT_CODE, HIDDEN))
    return running.steps[1]


@pytest.mark.slow
def test_every_page_shows_what_hides(site: Site, browser: TestClient, hostile: int) -> None:
    paths = [f"/repos/{REPO}/runs/1", f"/repos/{REPO}/runs/2", f"/repos/{REPO}/runs/2?step={hostile}", f"/repos/{REPO}"]
    paths.append(f"/repos/{REPO}/runs/2/shell/{hostile}")
    word = quote(HIDDEN)
    for path in [
        "/",
        *paths,
        f"/repos/{REPO}/settings",
        f"/repos/{REPO}/deliveries",
        f"/repos/{REPO}/deliveries/1",
        f"/repos/{REPO}/runs/2/artifacts",
        f"/repos/{REPO}/runs/2/tests",
        f"/repos/{REPO}/runs/2/coverage",
        f"/repos/{REPO}/tests/history?suite={word}&class_name={word}&test={word}",
        "/workers",
        "/disk",
        "/queue",
        "/settings",
        "/users",
        "/audit",
        "/account",
        f"/{quote(HIDDEN)}",
    ]:
        answer = browser.get(path)
        assert _RAW.search(answer.text) is None, path
    for path in [
        "/",
        *paths,
        f"/repos/{REPO}/deliveries",
        f"/repos/{REPO}/deliveries/1",
        f"/repos/{REPO}/runs/2/tests",
        f"/repos/{REPO}/runs/2/coverage",
    ]:
        assert SHOWN in browser.get(path).text, path


def test_every_page_was_looked_at(site: Site) -> None:
    """A new template is a new page: look at it above."""
    create_app(site.services)
    looked_at = [
        "account",
        "artifact",
        "artifacts",
        "audit",
        "base",
        "branches",
        "covered_files",
        "deliveries",
        "delivery",
        "disk",
        "error",
        "home",
        "insights",
        "home_parts",
        "login",
        "parts",
        "queue",
        "repo",
        "reports",
        "run",
        "run_graph",
        "run_parts",
        "settings",
        "settings_in_force",
        "shell",
        "test_history",
        "tests",
        "users",
        "workers",
    ]
    assert {name.removesuffix(".html") for name in make_templates().list_templates()} == set(looked_at)


def test_no_direction_of_a_foreign_word_reaches_its_neighbours(browser: TestClient) -> None:
    style = browser.get("/static/headway.css").text
    (isolated,) = re.findall(r":is\(([^)]*)\) \{ unicode-bidi: isolate; \}", style)
    assert {"a", "span", "code", "b", "td", "h1", "p", "li"} <= set(isolated.split(", "))
