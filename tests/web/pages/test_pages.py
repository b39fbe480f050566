"""The pages as a browser without JavaScript gets them."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from pipelines.plan import CommandsStep, Container, JobPlan, LeftOut, NamedImage, Plan
from pipelines.problem import Problem
from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import ImagePushed, InstructionChanged, StepFinished, StepOutput, StepStarted, Stream
from tests.web.conftest import REPO, Site, push
from web.pages.filters import ago, duration, ref_name, size
from web.pages.templates import plain_lines
from web.server.app import create_app
from workers import store
from workers.db.session import transaction

HOSTILE = "<script>alert(1)</script> \"quoted\" 'ticked' $(touch owned) `id` {{ 7 * 7 }} &amp; </textarea>"
HOSTILE_BRANCH = "$(id)\";<script>alert('2')</script>"
RUN = f"/repos/{REPO}/runs/1"


class Tags(HTMLParser):
    """The tags of a page and their attributes, as a browser would find them."""

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


def test_an_empty_server_says_what_to_do(browser: TestClient) -> None:
    assert "headway repo add" in browser.get("/").text


def test_a_repository_without_runs_says_what_to_do(site: Site, browser: TestClient) -> None:
    secret = site.add_repo().secret
    text = browser.get(f"/repos/{REPO}").text
    assert f"http://localhost:8080/hooks/{REPO}" in text
    assert secret not in text


def test_the_front_page_shows_repositories_and_recent_runs(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.add_repo("tools")
    site.queue(push("Warm the lights"))
    text = browser.get("/").text
    assert f'href="/repos/{REPO}"' in text
    assert f'href="{RUN}"' in text
    assert "Warm the lights" in text
    assert "No runs yet." in text


def test_a_repositorys_runs_are_paged(site: Site, browser: TestClient) -> None:
    site.add_repo()
    for number in range(1, 34):
        site.queue(push(f"commit number {number}."))
    first = browser.get(f"/repos/{REPO}").text
    assert "commit number 33." in first
    assert "commit number 3." not in first
    older = re.search(r'href="([^"]*before=\d+)"', first)
    assert older
    second = browser.get(older[1]).text
    assert "commit number 3." in second
    assert "Older" not in second


@pytest.mark.parametrize("path", ["/", f"/repos/{REPO}", RUN, f"/repos/{REPO}/settings"])
def test_hostile_text_stays_text_on_every_page(site: Site, browser: TestClient, path: str) -> None:
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


def test_a_run_shows_its_states_its_steps_and_the_log_of_the_failed_one(site: Site, browser: TestClient) -> None:
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


def test_a_big_log_is_shown_from_its_end(site: Site, browser: TestClient) -> None:
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


def test_a_part_for_a_script_leaves_the_log_out(site: Site, browser: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"building\n", Stream.STDOUT))
    assert "building" in browser.get(RUN).text
    part = browser.get(RUN, headers={"hx-request": "true"}).text
    assert "building" not in part
    assert 'id="run-head"' in part


def test_problems_are_listed_with_their_places(site: Site, browser: TestClient) -> None:
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


def test_a_pushed_image_is_shown_with_its_digest_and_how_to_pull_it(site: Site, browser: TestClient) -> None:
    site.add_repo()
    with site.begin().recorder() as record:
        record(StepStarted(3))
        record(ImagePushed(3, "registry.test/app", "1", "sha256:dd", "sha256:aa"))
        record(StepFinished(3, PASSED))
    text = browser.get(RUN).text
    assert 'data-copy="docker pull registry.test/app:1@sha256:dd"' in text


def test_instructions_are_shown_with_time_and_cache(site: Site, browser: TestClient) -> None:
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


def test_re_running_a_run_that_goes_on_is_a_page_with_a_sentence(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.queue()
    answer = browser.post(f"{RUN}/rerun")
    assert answer.status_code == 409
    assert "has not ended yet" in answer.text


def test_several_jobs_are_told_apart_by_their_cells(site: Site, browser: TestClient) -> None:
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


def test_secrets_are_added_and_removed_on_the_settings_page(site: Site, browser: TestClient) -> None:
    site.add_repo()
    path = f"/repos/{REPO}/settings"
    assert browser.post(f"{path}/secrets", data={"secret": "deploy_key", "value": "the value"}).status_code == 303
    text = browser.get(path).text
    assert "deploy_key" in text
    assert "the value" not in text
    assert browser.post(f"{path}/secrets/delete", data={"secret": "deploy_key"}).status_code == 303
    assert "There are none." in browser.get(path).text


@pytest.mark.parametrize("form", [{"secret": "a b", "value": "x"}, {"secret": "key", "value": ""}, {}])
def test_a_secret_that_cannot_be_kept_is_explained_and_not_repeated(
    site: Site, browser: TestClient, form: dict[str, str]
) -> None:
    site.add_repo()
    answer = browser.post(f"/repos/{REPO}/settings/secrets", data=form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("path", ["/repos/no/such", f"{RUN}0", "/nonsense", "/repos/no/such/settings"])
def test_what_is_not_there_is_a_page_in_the_same_design(site: Site, browser: TestClient, path: str) -> None:
    site.add_repo()
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "headway.css" in answer.text


def test_a_fault_of_ours_is_a_page_without_its_details(site: Site) -> None:
    app = create_app(site.services)

    @app.get("/fault")
    def _fault() -> None:
        raise RuntimeError("the password is hunter2")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/fault")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Headway made a mistake" in answer.text


def test_pages_name_their_language_and_every_control_has_a_label(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin()
    for path in ("/", RUN, f"/repos/{REPO}/settings", "/account", "/login"):
        text = browser.get(path).text
        assert '<html lang="en">' in text
        for _, rest in re.findall(r"<button([^>]*)>(.*?)</button>", text, re.DOTALL):
            assert re.sub(r"<[^>]+>", "", rest).strip(), path


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\n\n", ["a", ""]),
        (b"10%\r50%\r100%\n", ["100%"]),
        (b"windows\r\n", ["windows"]),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b[2K\n", ["red x"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
    ],
)
def test_a_log_without_scripts_reads_as_a_terminal_would_show_it(data: bytes, lines: list[str]) -> None:
    assert plain_lines(data) == lines


def test_times_and_sizes_read_as_people_say_them() -> None:
    assert [duration(ms) for ms in (None, 0, 4_230, 12_000, 185_000, 7_620_000)] == [
        "",
        "0.0 s",
        "4.2 s",
        "12 s",
        "3 min 05 s",
        "2 h 07 min",
    ]
    now = 100 * 86_400_000
    assert [ago(now - ms, now) for ms in (0, 60_000, 7_200_000, 2 * 86_400_000, 40 * 86_400_000)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "2 days ago",
        "1970-03-02",
    ]
    assert [size(count) for count in (812, 14_889_779, 5 * 1024**4)] == ["812 B", "14.2 MB", "5.0 TB"]
    assert [ref_name(ref) for ref in ("refs/heads/a/b", "refs/tags/v1", "refs/pull/7/head")] == [
        "a/b",
        "v1",
        "pull/7/head",
    ]
