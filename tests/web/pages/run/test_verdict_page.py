"""What a run's page says first: why it ended so, and on which step it opens."""

import re

import pytest
from playwright.sync_api import Page, expect
from starlette.testclient import TestClient

from pipelines.plan import Container as Box
from pipelines.plan import JobPlan, NamedImage, Plan, Service
from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import InstructionChanged, StepFinished, StepOutput, StepStarted, Stream
from tests.support.builders import commands_step, push
from tests.web.conftest import PLAN, REPO, ClaimedRun, Site
from workers import store
from workers.db.session import transaction

pytestmark = pytest.mark.slow
RUN = f"/repos/{REPO}/runs/1"
EXIT = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)
LONG = "apt-get update && " + "echo a && " * 20 + "cc main.c"
PROCESS = f'process "/bin/sh -c {LONG}" did not complete successfully: exit code: 1'


def title(text: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]*>", "", found[1]).split())


def end(site: Site, begun: ClaimedRun, outcome: Outcome) -> None:
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)


def fail(site: Site, lines: int = 400) -> ClaimedRun:
    """A run whose second step fails, with the cause in the middle of its log."""
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        noise = b"fine\n" * lines
        record(StepOutput(2, 0, noise + b"fatal: <no> harbour\n" + b"------\n" * 150, Stream.STDOUT))
        record(StepFinished(2, EXIT))
    end(site, begun, Outcome(State.FAILED, Reason.EXIT_CODE, "step 'test': exited with 1"))
    return begun


def test_the_title_is_the_verdict_with_its_cause_in_page_and_api(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = fail(site)
    text = browser.get(RUN).text
    assert title(text) == "Failed test failed: fatal: &lt;no&gt; harbour line 401"
    assert f'href="{RUN}?step={begun.steps[2]}#test-L401"' in text
    assert 'data-at="401"' in text
    assert '<b class="clip">Warm the lights</b>' in text
    verdict = browser.get(f"/api/repos/{REPO}/runs/1").json()["verdict"]
    assert verdict["sentence"] == "test failed: fatal: <no> harbour"
    assert verdict["step_id"] == begun.steps[2]
    assert verdict["causes"][0]["log_line"] == 401


def test_a_deleted_log_leaves_the_exit_code(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = fail(site)
    site.services.logs.delete_run(begun.queued.run_id)
    with transaction(site.engine) as session:
        store.forget_logs(session, [begun.queued.run_id])
    assert title(browser.get(RUN).text) == "Failed test failed: exited with 1"


def test_a_long_command_of_a_failed_build_is_shown_once(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    name = f"[2/2] RUN {LONG}"
    message = f"the instruction {name!r} failed (Dockerfile:2): {PROCESS}"
    with begun.recorder() as record:
        record(StepStarted(1))
        record(InstructionChanged(1, 0, name, seconds=3.0, error=PROCESS))
        record(StepOutput(1, 0, b"#5 main.c:3: fatal error: nope.h\n", Stream.STDOUT))
        record(StepFinished(1, Outcome(State.FAILED, Reason.BUILD_FAILED, message)))
    end(site, begun, Outcome(State.FAILED, Reason.BUILD_FAILED, f"step 'build': {message}"))
    text = browser.get(RUN).text
    assert text.count("cc main.c") == 1
    assert title(text) == "Failed build failed: main.c:3: fatal error: nope.h line 1"


def test_an_ignored_failure_is_called_so_and_is_not_what_the_page_opens(site: Site, browser: TestClient) -> None:
    site.add_repo()
    steps = PLAN.jobs[0].steps
    ignoring = steps[1].model_copy(update={"failure": "ignore"})
    begun = site.begin(plan=Plan(jobs=(PLAN.jobs[0].model_copy(update={"steps": (steps[0], ignoring, steps[2])}),)))
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"built\n", Stream.STDOUT))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        record(StepFinished(2, EXIT))
        running = browser.get(RUN).text
    assert 'data-state="ignored"' in running
    end(site, begun, PASSED)
    text = browser.get(RUN).text
    assert title(text) == "Passed Passed; the failure of test is ignored"
    assert ">built<" in text


def matrix(site: Site, cells: int = 12) -> ClaimedRun:
    service = Service(name="db", container=Box(image=NamedImage(name="postgres:17")))
    detached = commands_step(2, "server").model_copy(update={"detach": True})
    jobs = [
        JobPlan(
            name="unit",
            file="f",
            number=number,
            cell={"PYTHON": f"3.{number}"},
            services=(service,),
            steps=(commands_step(1, "pytest"), detached),
        )
        for number in range(1, cells + 1)
    ]
    return site.begin(push(), Plan(jobs=tuple(jobs)))


def test_a_matrix_is_a_grid_and_lists_the_steps_of_one_cell(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = matrix(site)
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
    end(site, begun, PASSED)
    text = browser.get(RUN).text
    assert "1 of 12 passed" in text
    grid = re.search(r'<ul class="cells".*?</ul>', text, re.DOTALL)
    assert grid
    assert grid[0].count("<li>") == 12
    assert grid[0].count('aria-current="true"') == 1
    assert '<span class="unseen">Passed</span><span class="unseen"> 3.1</span>' in grid[0]
    before, _, inside = text.partition('<details class="other-cells">')
    assert before.count(">pytest</span>") == 1
    assert inside.partition("run-more")[0].count(">pytest</span>") == 11
    assert ">db</span> service, waiting" in before
    assert '<span class="took">detached</span>' in before


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_log_starts_on_the_first_screen_at_the_line_that_says_why(
    site: Site, page: Page, width: int, height: int
) -> None:
    fail(site)
    page.set_viewport_size({"width": width, "height": height})
    page.goto(RUN)
    line = page.locator(".line.marked")
    expect(line).to_contain_text("fatal: <no> harbour")
    box, log = line.bounding_box(), page.locator("#log").bounding_box()
    assert box
    assert log
    assert log["y"] < height - 100
    assert log["y"] < box["y"] < log["y"] + log["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_the_graph_is_live_and_walked_with_the_keyboard(site: Site, page: Page) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        page.goto(f"{RUN}?step={begun.steps[1]}")
        node = page.get_by_role("link", name=re.compile("^build: running"))
        expect(node).to_be_visible()
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        expect(page.get_by_role("link", name=re.compile("^build: passed"))).to_be_visible()
        test = page.get_by_role("link", name=re.compile("^test: running.*; after build$"))
        page.get_by_role("link", name=re.compile("^build: passed")).focus()
        page.keyboard.press("Tab")
        expect(test).to_be_focused()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"step={begun.steps[2]}$"))
    expect(page.get_by_role("row", name=re.compile("build"))).to_contain_text("s")


def test_graph_and_times_are_part_of_the_page(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = fail(site)
    text = browser.get(RUN).text
    assert f'<a href="{RUN}?step={begun.steps[2]}" class="node failed" aria-label="test: failed' in text
    assert '<table class="timeline">' in text
    steps = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"][0]["steps"]
    assert [each["needs"] for each in steps] == [[], [1], [2]]
    assert [each["detached"] for each in steps] == [False] * 3
