"""Runs, as JSON: listed, shown, started, canceled and re-run."""

from dataclasses import replace

from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.plan import LeftOut
from pipelines.problem import Level, Problem
from pipelines.state import PASSED, Outcome, Reason, State
from pipelines.trigger import Event
from runner.events import ImageBuilt, ImagePushed, InstructionChanged, StepFinished, StepStarted
from tests.web.conftest import PLAN, REPO, SHA, ClaimedRun, Site, push
from web.server.app import create_app
from workers import store
from workers.db.models import Secret
from workers.db.session import reading, transaction
from workers.streaming.redis_stream import connect

RUNS = f"/api/repos/{REPO}/runs"


def finish(begun: ClaimedRun, outcome: Outcome = PASSED) -> None:
    with transaction(begun.site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)


def test_runs_are_listed_newest_first_in_pages(site: Site, program: TestClient) -> None:
    site.add_repo()
    for number in range(1, 6):
        site.queue(push(f"run {number}"))
    path = f"/api/repos/{REPO}/runs"
    assert [run["number"] for run in program.get(path).json()] == [5, 4, 3, 2, 1]
    assert [run["number"] for run in program.get(path, params={"before": 4, "limit": 2}).json()] == [3, 2]


def test_runs_are_listed_by_branch_state_and_event(site: Site, program: TestClient) -> None:
    site.add_repo()
    finish(site.begin(push(branch="main")))
    site.queue(push(branch="topic"))
    site.queue(push(branch="main"))
    site.queue(push(branch="main").model_copy(update={"event": Event.TAG}))

    def numbers(**asked: str | int) -> list[int]:
        return [run["number"] for run in program.get(f"/api/repos/{REPO}/runs", params=asked).json()]

    assert numbers(branch="main") == [4, 3, 1]
    assert numbers(branch="main", event="push") == [3, 1]
    assert numbers(branch="main", event="push", state="queued") == [3]
    assert numbers(state="passed") == [1]
    assert numbers(branch="main", before=4, limit=1) == [3]
    assert numbers(branch="none") == []
    assert program.get(f"/api/repos/{REPO}/runs?state=happy").status_code == 422


def test_a_run_is_shown_with_its_jobs_steps_and_facts(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(InstructionChanged(1, 0, "FROM x", cached=True, seconds=0.0))
        record(ImageBuilt(1, "sha256:aa", 1234))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
        record(StepFinished(2, Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 7", 7)))
    run = program.get(f"/api/repos/{REPO}/runs/1").json()
    assert (run["state"], run["sha"], run["repo"]) == ("running", SHA, REPO)
    assert run["url"] == f"http://localhost:8080/repos/{REPO}/runs/1"
    build, test, pushing = run["jobs"][0]["steps"]
    assert build["facts"]["image_id"] == "sha256:aa"
    assert build["facts"]["instructions"][0]["cached"] is True
    assert (test["state"], test["exit_code"], test["reason"]) == ("failed", 7, "exit_code")
    assert pushing["state"] == "queued"


def test_problems_are_shown_with_line_and_column(site: Site, program: TestClient) -> None:
    site.add_repo()
    queued = site.queue()
    claim = site.claim(queued)
    problem = Problem(".headway.yml", 7, 5, "unknown key 'comands'", "did you mean 'commands'?")
    warning = Problem(".headway.yml", 9, 1, "odd", level=Level.WARNING)
    outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, "The pipeline has a problem.")
    with transaction(site.engine) as session:
        store.fail_planning(session, queued.job_id, claim.attempt, outcome, (problem,), (warning,))
    found = program.get(f"/api/repos/{REPO}/runs/1/problems").json()
    assert [(each["line"], each["column"], each["level"]) for each in found["problems"]] == [(7, 5, "error")]
    assert [each["level"] for each in found["warnings"]] == ["warning"]
    run = program.get(f"/api/repos/{REPO}/runs/1").json()
    assert (run["state"], run["reason"]) == ("failed", "invalid_pipeline")
    assert run["problems"] == found["problems"]


def test_steps_that_conditions_left_out_are_shown(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.begin(plan=PLAN.model_copy(update={"left_out": (LeftOut(what="step deploy", why="not a tag"),)}))
    assert program.get(f"/api/repos/{REPO}/runs/1").json()["left_out"] == [{"what": "step deploy", "why": "not a tag"}]


def test_pushed_images_are_shown(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(3))
        record(ImagePushed(3, "registry.test/app", "1", "sha256:dd", "sha256:aa"))
        record(StepFinished(3, PASSED))
    steps = program.get(f"/api/repos/{REPO}/runs/1").json()["jobs"][0]["steps"]
    assert steps[2]["facts"]["pushed"][0]["digest"] == "sha256:dd"


def test_a_queued_run_is_canceled_at_once_and_can_be_run_again(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.queue()
    path = f"/api/repos/{REPO}/runs"
    assert program.post(f"{path}/1/rerun").status_code == 409
    assert program.post(f"{path}/1/cancel").json() == {"state": "canceled"}
    again = program.post(f"{path}/1/rerun")
    assert again.status_code == 202
    assert again.json() == {"run": 2, "url": f"http://localhost:8080/repos/{REPO}/runs/2"}
    assert len(site.woken) == 1
    with reading(site.engine) as session:
        assert store.trigger_of(site.run(1)) == store.trigger_of(site.run(2))
        assert site.run(2).parent_run_id == site.run(1).id
        assert session.is_active


def test_a_running_run_is_asked_to_stop(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.begin()
    assert program.post(f"/api/repos/{REPO}/runs/1/cancel").json() == {"state": "running"}
    run = site.run()
    assert (run.cancel_by, run.cancel_requested_ms is not None) == ("ada", True)


def test_canceling_a_finished_run_changes_nothing(site: Site, program: TestClient) -> None:
    site.add_repo()
    finish(site.begin())
    assert program.post(f"/api/repos/{REPO}/runs/1/cancel").json() == {"state": "passed"}


def test_a_commit_message_with_any_characters_is_valid_json(site: Site, program: TestClient) -> None:
    site.add_repo()
    message = "\u202e \U0001f680 \"'\\ \x01 </script>\n" + "x" * 5000
    site.queue(push(message))
    assert program.get(f"/api/repos/{REPO}/runs/1").json()["message"] == message


def test_a_state_that_a_worker_wrote_is_shown_at_once(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    finish(begun, Outcome(State.BROKEN, Reason.ENGINE_GONE, "The engine is gone."))
    run = program.get(f"/api/repos/{REPO}/runs/1").json()
    assert (run["state"], run["reason"], run["sentence"]) == ("broken", "engine_gone", "The engine is gone.")
    with transaction(site.engine) as session:
        session.execute(update(Secret).values(name="x"))


def test_a_run_can_be_canceled_while_redis_is_down(site: Site) -> None:
    site.add_repo()
    site.begin()
    headers = {"authorization": f"Bearer {site.token(site.add_user())}"}
    with (
        connect("redis://127.0.0.1:1/0") as redis,
        TestClient(create_app(replace(site.services, redis=redis))) as client,
    ):
        answer = client.post(f"{RUNS}/1/cancel", headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"state": "running"})
    assert site.run().cancel_by == "ada"
