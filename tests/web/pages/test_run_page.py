"""A run's page without JavaScript: its steps, the log of one step, problems, images and buttons."""

import re

import pytest
from starlette.testclient import TestClient

from pipelines.plan import CommandsStep, Container, JobPlan, LeftOut, NamedImage, Plan, Service
from pipelines.problem import Problem
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Event
from runner.events import (
    CachesUsed,
    CacheUse,
    EndedAttempt,
    ImagePullChanged,
    ImagePushed,
    InstructionChanged,
    ServiceChanged,
    StepFinished,
    StepMeasured,
    StepOutput,
    StepRetried,
    StepStarted,
    Stream,
)
from tests.support.builders import job_plan, plan, push
from tests.web.conftest import REPO, SHA, Site
from workers import store
from workers.db.session import transaction

pytestmark = pytest.mark.slow

RUN = f"/repos/{REPO}/runs/1"


def test_the_log_of_the_failed_step_is_shown_first(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"building\n", Stream.STDOUT))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        record(StepOutput(2, 0, b"collecting\n\x1b[31mE  assert 3 == 4\x1b[0m\n", Stream.STDOUT))
        record(StepFinished(2, Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)))
    text = browser.get(RUN).text
    assert ">E  assert 3 == 4<" in text
    assert "building" not in text
    assert 'id="L2"' in text
    other = browser.get(RUN, params={"step": begun.steps[1]}).text
    assert ">building<" in other
    again = f"headway run --like {site.services.settings.run_url(REPO, 1)} --step=test"
    assert f'data-copy="{again}"' in text
    assert "data-copy" not in other, "it passed"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("--push", " --step=--push"),
        ("a b; $(reboot)", " &#39;--step=a b; $(reboot)&#39;"),
        ("it's", " &#39;--step=it&#39;&#34;&#39;&#34;&#39;s&#39;"),
        ("a\x1b[2J", ""),
        ("a\nreboot", ""),
    ],
)
def test_the_name_of_a_step_is_no_command_and_no_option(
    site: Site, browser: TestClient, name: str, command: str
) -> None:
    site.add_repo()
    job = job_plan("job", steps=1)
    named = job.model_copy(update={"steps": (job.steps[0].model_copy(update={"name": name}),)})
    begun = site.begin(plan=plan(named))
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)))
    text = browser.get(RUN).text
    assert f'data-copy="headway run --like {site.services.settings.run_url(REPO, 1)}{command}"' in text


def test_what_a_step_used_and_its_earlier_attempts_are_shown(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    late = Outcome(State.FAILED, Reason.TIMEOUT, "timed out after <1> s")
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        record(StepRetried(2, (EndedAttempt(late, 1.0, 61.5, 0),)))
        record(StepMeasured(2, 300 * 1024**2, 12.25, 512 * 1024**2))
        record(StepFinished(2, Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1 (attempt 2 of 2)", 1)))
    text = browser.get(RUN).text
    assert "<span>300.0 MB of 512.0 MB memory</span><span>12 s processor time</span>" in text
    assert "Earlier attempts: 1" in text
    assert "failed after 1 min 01 s: timed out after &lt;1&gt; s" in text
    other = browser.get(RUN, params={"step": begun.steps[1]}).text
    assert "processor time" not in other
    assert "Earlier attempts" not in other
    (job,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert job["steps"][1]["facts"]["usage"]["cpu_seconds"] == 12.25
    assert job["steps"][1]["facts"]["attempts"][0]["message"] == "timed out after <1> s"


def test_services_stand_below_the_steps_with_what_they_do(site: Site, browser: TestClient) -> None:
    site.add_repo()
    box = Container(image=NamedImage(name="postgres:17"))
    job = job_plan("test").model_copy(
        update={"services": (Service(name="db", container=box), Service(name="seed", container=box))}
    )
    begun = site.begin(plan=plan(job))
    with begun.recorder() as record:
        record(ServiceChanged("seed", "ended", "the service 'seed' ended with exit code 3; the end of its log:\n<b>"))
        text = browser.get(RUN).text
        (found,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert '<span class="clip" title="postgres:17">db</span> service, waiting' in text
    assert "exit code 3; the end of its log:\n&lt;b&gt;</pre>" in text
    assert [(each["name"], each["state"]) for each in found["services"]] == [("db", "waiting"), ("seed", "ended")]


def test_pulls_and_services_have_their_times_on_the_axis_and_in_the_api(site: Site, browser: TestClient) -> None:
    site.add_repo()
    box = Container(image=NamedImage(name="postgres:17"))
    job = job_plan("test").model_copy(update={"services": (Service(name="db", container=box),)})
    begun = site.begin(plan=plan(job))
    with begun.recorder() as record:
        record(ImagePullChanged("postgres:17"))
        version = browser.get(RUN).text.partition('data-version="')[2][:8]
        record(ImagePullChanged("postgres:17", 3.0, 3_000_000))
        record(ImagePullChanged("<b>:1"))
        record(ServiceChanged("db", "starting"))
        record(ServiceChanged("db", "starting", has_container=True))
        record(ServiceChanged("db", "ready"))
        record(StepStarted(1))
        text = browser.get(RUN).text
        (found,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    axis = text.partition('<table class="timeline">')[2].partition("</table>")[0]
    assert 'title="pull postgres:17"' in axis
    assert '<span class="note">2.9 MB downloaded</span>' in axis
    assert "pull &lt;b&gt;:1" in axis
    assert '<span class="unseen">ready: </span><span class="clip" title="service db">' in axis
    assert "all steps waited for it</span>" in axis
    assert version not in text
    first, second = found["pulls"]
    assert (first["image"], first["downloaded_bytes"], first["failed"]) == ("postgres:17", 3_000_000, False)
    assert (first["started_ms"] <= first["finished_ms"], second["finished_ms"]) == (True, None)
    (service,) = found["services"]
    assert service["begun_ms"] <= service["started_ms"] <= service["ready_ms"]
    assert (service["finished_ms"], service["after"]) == (None, "")


def test_without_a_script_there_is_a_file_of_standard_error(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    assert f'href="/api/steps/{begun.steps[1]}/log?stream=stderr" download' in browser.get(RUN).text


def test_only_what_is_known_of_a_step_is_shown(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepMeasured(1, 0, 0.5, 0))
        record(StepFinished(1, PASSED))
    text = browser.get(RUN).text
    assert "<span>0.5 s processor time</span>" in text
    assert " memory</span>" not in text


def test_a_run_by_hand_in_which_nothing_ran_says_so_as_its_title(site: Site, browser: TestClient) -> None:
    site.add_repo()
    by_hand = push().model_copy(update={"event": Event.MANUAL})
    site.begin(by_hand, Plan(jobs=(), left_out=(LeftOut(what="workflow 'a'", why="the event is manual, not push"),)))
    text = browser.get(RUN).text
    assert f"<title>Nothing ran: {REPO} #1" in text
    assert "Passed" not in text
    assert "/static/icons/skipped.svg" in text
    assert (
        "Nothing ran: nothing in the pipeline runs for this trigger (workflow &#39;a&#39;: the event is manual" in text
    )
    assert "Nothing ran" in browser.get(f"/repos/{REPO}", params={"state": "skipped"}).text
    assert browser.get(f"/api/repos/{REPO}/runs/1").json()["state"] == "skipped"
    assert browser.get("/static/icons/skipped.svg").status_code == 200


def test_the_caches_of_a_step_are_shown(site: Site, browser: TestClient) -> None:
    site.add_repo()
    with site.begin().recorder() as record:
        record(StepStarted(1))
        uses = (
            CacheUse("pip", "pip-2", "pip-1", 5 * 1024**2, saved_bytes=6 * 1024**2, faster_s=12.0),
            CacheUse("npm", "npm-<1>"),
            CacheUse("go", "go-1", "go-1", 1024, copied=True),
        )
        record(CachesUsed(1, uses))
        record(StepFinished(1, PASSED))
    text = re.sub(r"<[^>]*>", "", browser.get(RUN).text)
    assert "Caches: 3" in text
    assert (
        "pip: pip-1, 5.0 MB, in place of pip-2; now 6.0 MB are kept; the step was 12 s faster than without it" in text
    )
    assert "npm: nothing was kept for npm-&lt;1&gt;" in text
    assert "go: go-1, 1.0 kB, copied" in text


def test_of_a_long_log_the_last_lines_are_shown(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    lines = "".join(f"n{number}.\n" for number in range(1, 3001)).encode()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, lines, Stream.STDOUT))
        record(StepFinished(2, PASSED))
    text = browser.get(RUN, params={"step": begun.steps[2]}).text
    assert 'id="L3000"' in text
    assert ">n2501.<" in text
    assert ">n2500.<" not in text
    assert "The last 500 of 3000 lines" in text


def test_a_request_of_a_script_gets_the_page_without_the_log(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"building\n", Stream.STDOUT))
    assert "building" in browser.get(RUN).text
    part = browser.get(RUN, headers={"hx-request": "true"}).text
    assert "building" not in part
    assert 'id="run-head"' in part


def test_problems_are_listed_with_line_and_column(site: Site, browser: TestClient) -> None:
    site.add_repo()
    queued = site.queue()
    claim = site.claim(queued)
    problem = Problem(".headway.yml", 7, 5, "unknown key 'comands'", "did you mean 'commands'?")
    outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, "The pipeline has one problem.")
    with transaction(site.engine) as session:
        store.fail_planning(session, queued.job_id, claim.attempt, outcome, (problem,))
    text = browser.get(RUN).text
    assert ".headway.yml:7:5" in text
    assert "did you mean &#39;commands&#39;?" in text
    assert "The pipeline has one problem." in text


def test_a_pushed_image_is_shown_with_the_command_that_pulls_its_digest(site: Site, browser: TestClient) -> None:
    site.add_repo()
    with site.begin().recorder() as record:
        record(StepStarted(3))
        record(ImagePushed(3, "registry.test/app", "1", "sha256:dd", "sha256:aa"))
        record(StepFinished(3, PASSED))
    text = browser.get(RUN).text
    assert 'data-copy="docker pull registry.test/app:1@sha256:dd"' in text


def test_instructions_are_shown_with_their_time_or_as_cached(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(InstructionChanged(1, 0, "FROM python", cached=True, seconds=0.0))
        record(InstructionChanged(1, 1, "RUN make", seconds=83.0))
        record(StepFinished(1, PASSED))
    text = browser.get(RUN, params={"step": begun.steps[1]}).text
    assert re.search(r"FROM python</code>\s*<span class=\"took\">cached", text)
    assert re.search(r"RUN make</code>\s*<span class=\"took\">1 min 23 s", text)


def test_cancel_and_re_run_are_buttons_that_work_without_scripts(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    assert f'action="{RUN}/cancel"' in browser.get(RUN).text
    assert browser.post(f"{RUN}/cancel").headers["location"] == RUN
    after = browser.get(RUN).text
    assert f'action="{RUN}/cancel"' not in after
    assert f'action="{RUN}/rerun"' in after
    assert browser.post(f"{RUN}/rerun").headers["location"] == f"/repos/{REPO}/runs/2"
    assert f'href="{RUN}">#1</a>' in browser.get(f"/repos/{REPO}/runs/2").text


def test_re_running_a_run_that_has_not_ended_is_refused_with_a_sentence(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    answer = browser.post(f"{RUN}/rerun")
    assert answer.status_code == 409
    assert "has not ended yet" in answer.text


def test_jobs_of_a_matrix_show_their_cells(site: Site, browser: TestClient) -> None:
    site.add_repo()
    step = CommandsStep(number=1, name="unit", container=Container(image=NamedImage(name="x")), commands=("x",))
    jobs = tuple(
        JobPlan(name="test", file="f", number=number, cell={"PYTHON": version}, steps=(step,))
        for number, version in ((1, "3.12"), (2, "3.13"))
    )
    site.begin(plan=Plan(jobs=jobs))
    text = browser.get(RUN).text
    assert "PYTHON: 3.12" in text
    assert "PYTHON: 3.13" in text


def test_jobs_are_shown_after_the_jobs_that_they_need(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin(plan=plan(job_plan("deploy", 1, ("test",)), job_plan("test", 2)))
    text = browser.get(RUN).text
    assert text.index(">test</span>") < text.index(">deploy</span>")


@pytest.mark.parametrize(
    ("forge", "there"), [("github", f"/commit/{SHA}"), ("gitlab", f"/-/commit/{SHA}"), ("bitbucket", f"/commits/{SHA}")]
)
def test_a_commit_links_to_its_forge(site: Site, browser: TestClient, forge: str, there: str) -> None:
    site.add_repo(forge=forge)
    site.queue()
    for path in ("/", f"/repos/{REPO}", RUN):
        assert f'href="https://git.test/{REPO}{there}"' in browser.get(path).text


def test_a_commit_of_a_plain_repository_has_no_link(site: Site, browser: TestClient) -> None:
    site.add_repo(forge="generic")
    site.queue()
    assert f'<code title="{SHA}">' in browser.get(RUN).text
    assert "https://git.test" not in browser.get(RUN).text


def test_a_message_of_both_step_and_run_is_shown_once(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 7", 7)))
    verdict = Outcome(State.FAILED, Reason.EXIT_CODE, "step 'build': exited with 7")
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, verdict)
    assert browser.get(RUN).text.count("exited with 7") == 1


def test_the_user_who_started_a_run_by_hand_is_shown(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue(push().model_copy(update={"event": Event.MANUAL, "sender": "mona"}))
    site.queue(push().model_copy(update={"sender": "mona"}))
    assert "started by mona" in browser.get(RUN).text
    assert "started by" not in browser.get(f"/repos/{REPO}/runs/2").text


def test_when_and_why_a_log_was_deleted_is_said_where_it_was(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        for step, output in ((1, b""), (2, b"some output\n")):
            record(StepStarted(step))
            if output:
                record(StepOutput(step, 0, output, Stream.STDOUT))
            record(StepFinished(step, PASSED))
    log = f"/api/steps/{begun.steps[2]}/log"
    assert browser.get(log).text == "some output\n"
    site.services.logs.delete_run(begun.queued.run_id)
    with transaction(site.engine) as session:
        store.forget_logs(session, [begun.queued.run_id])
    said = r"The log was deleted on \d{4}-\d\d-\d\d: this server kept logs 90 days after their run has ended "
    said += r"\(HEADWAY_RETENTION_DAYS\)\."
    page = browser.get(RUN, params={"step": begun.steps[2]}).text
    assert re.search(said, page)
    assert "no output" not in page
    assert "This step has no output." in browser.get(RUN, params={"step": begun.steps[1]}).text
    for address in (
        log,
        f"{log}?last=10",
        f"{log}?offset=0",
        f"{log}?line=1",
        f"{log}/sources",
        f"{log}/search?text=x",
    ):
        answer = browser.get(address)
        assert answer.status_code == 410
        assert re.fullmatch(said, answer.json()["error"])
    assert browser.get(f"/api/repos/{REPO}/runs/1").json()["logs_deleted_ms"] > 0
    assert browser.get(f"/api/steps/{begun.steps[1]}/log").status_code == 200


def test_a_step_that_passed_has_the_exit_code_0(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
    (job,) = browser.get(f"/api/repos/{REPO}/runs/1").json()["jobs"]
    assert [step["exit_code"] for step in job["steps"]][:2] == [0, None]
