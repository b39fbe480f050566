"""The JSON API."""

import json
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from pipelines.plan import LeftOut
from pipelines.problem import Level, Problem
from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import ImageBuilt, ImagePushed, InstructionChanged, StepFinished, StepOutput, StepStarted, Stream
from tests.web.conftest import PLAN, REPO, SHA, ClaimedRun, Site, push
from web.operations import repos, secrets
from workers import store
from workers.db.models.runs import Secret
from workers.db.session import reading, transaction

TEXT = "".join(f"line {number} \u00e9\n" for number in range(1, 1001)).encode()


def finish(begun: ClaimedRun, outcome: Outcome = PASSED) -> None:
    with transaction(begun.site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)


def write(begun: ClaimedRun, number: int, data: bytes, outcome: Outcome | None = PASSED) -> None:
    with begun.recorder() as record:
        record(StepStarted(number))
        record(StepOutput(number, 0, data, Stream.STDOUT))
        if outcome:
            record(StepFinished(number, outcome))


def test_an_empty_server_has_no_repositories(program: TestClient) -> None:
    assert program.get("/api/repos").json() == []
    assert program.get("/api/runs").json() == []


def test_repositories_come_with_their_last_run(site: Site, program: TestClient) -> None:
    site.add_repo("b/two")
    site.add_repo("a/one")
    site.queue(push("first"), "b/two")
    site.queue(push("second"), "b/two")
    one, two = program.get("/api/repos").json()
    assert (one["name"], one["last_run"]) == ("a/one", None)
    assert (two["last_run"]["number"], two["last_run"]["title"]) == (2, "second")
    assert [(run["repo"], run["number"]) for run in program.get("/api/runs").json()] == [("b/two", 2), ("b/two", 1)]


def test_nothing_sealed_is_ever_answered(site: Site, program: TestClient) -> None:
    hooked = site.add_repo()
    secrets.put(site.services, REPO, "key", "the value")
    site.begin()
    with reading(site.engine) as session:
        sealed = session.query(Secret).one().sealed
    paths = ("/api/repos", f"/api/repos/{REPO}", f"/api/repos/{REPO}/secrets", f"/api/repos/{REPO}/runs/1")
    for path in (*paths, f"/repos/{REPO}/settings", f"/repos/{REPO}"):
        text = program.get(path).text
        for hidden in (hooked.secret, "the value", sealed, "sealed", "v1|"):
            assert hidden not in text, path


def test_runs_are_listed_from_the_newest_and_go_on_before_a_number(site: Site, program: TestClient) -> None:
    site.add_repo()
    for number in range(1, 6):
        site.queue(push(f"run {number}"))
    path = f"/api/repos/{REPO}/runs"
    assert [run["number"] for run in program.get(path).json()] == [5, 4, 3, 2, 1]
    assert [run["number"] for run in program.get(path, params={"before": 4, "limit": 2}).json()] == [3, 2]


def test_a_run_is_shown_with_its_jobs_steps_and_what_was_learnt(site: Site, program: TestClient) -> None:
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


def test_problems_are_shown_with_their_places(site: Site, program: TestClient) -> None:
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


def test_what_was_left_out_is_said(site: Site, program: TestClient) -> None:
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


def test_a_log_is_read_by_bytes(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    path = f"/api/steps/{begun.steps[2]}/log"
    assert program.get(path).content == TEXT
    part = program.get(path, params={"offset": 100, "max_bytes": 50})
    assert part.content == TEXT[100:150]
    assert part.headers["x-log-size"] == str(len(TEXT))
    assert part.headers["x-log-complete"] == "true"
    assert part.headers["content-type"] == "text/plain; charset=utf-8"
    read = b""
    while piece := program.get(path, params={"offset": len(read), "max_bytes": 777}).content:
        read += piece
    assert read == TEXT


def test_a_log_is_read_by_lines(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    path = f"/api/steps/{begun.steps[2]}/log"
    part = program.get(path, params={"line": 10, "lines": 3})
    assert part.text == "line 10 \u00e9\nline 11 \u00e9\nline 12 \u00e9\n"
    assert part.headers["x-log-line"] == "10"
    assert TEXT[int(part.headers["x-log-offset"]) :].startswith(b"line 10 ")
    last = program.get(path, params={"last": 2})
    assert last.text == "line 999 \u00e9\nline 1000 \u00e9\n"
    assert last.headers["x-log-lines"] == "1000"


def test_the_log_of_a_step_that_wrote_nothing_is_empty(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    for query in ({}, {"offset": 0}, {"line": 1}, {"last": 10}):
        answer = program.get(f"/api/steps/{begun.steps[2]}/log", params=query)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "query", ["offset=-1", "line=0", "lines=0&line=1", "max_bytes=99999999999&offset=0", "offset=x"]
)
def test_a_range_that_makes_no_sense_is_refused(site: Site, program: TestClient, query: str) -> None:
    site.add_repo()
    begun = site.begin()
    answer = program.get(f"/api/steps/{begun.steps[2]}/log?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]


def test_a_waiting_run_is_canceled_at_once_and_can_be_run_again(site: Site, program: TestClient) -> None:
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


def test_a_run_that_has_ended_stays_as_it_is(site: Site, program: TestClient) -> None:
    site.add_repo()
    finish(site.begin())
    assert program.post(f"/api/repos/{REPO}/runs/1/cancel").json() == {"state": "passed"}


def test_secrets_are_put_listed_by_name_and_removed(site: Site, program: TestClient) -> None:
    site.add_repo()
    path = f"/api/repos/{REPO}/secrets"
    assert program.put(f"{path}/Token", json={"value": "the value", "events": ["tag"]}).status_code == 204
    (only,) = program.get(path).json()
    assert (only["name"], only["events"]) == ("token", ["tag"])
    with reading(site.engine) as session:
        row = session.query(Secret).one()
        assert site.services.vault.unseal(f"repo/{row.repo_id}/secret/token", row.sealed) == "the value"
    assert program.delete(f"{path}/token").status_code == 204
    assert program.delete(f"{path}/token").status_code == 404
    assert program.get(path).json() == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("key", {"value": ""}),
        ("key", {}),
        ("key", {"value": "x", "extra": 1}),
        ("a b", {"value": "x"}),
        ("1a", {"value": "x"}),
    ],
)
def test_a_secret_that_no_pipeline_could_use_is_refused(
    site: Site, program: TestClient, name: str, body: dict[str, Any]
) -> None:
    site.add_repo()
    answer = program.put(f"/api/repos/{REPO}/secrets/{name}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_refused_secret_is_not_repeated_in_the_answer(site: Site, program: TestClient) -> None:
    site.add_repo()
    answer = program.put(f"/api/repos/{REPO}/secrets/key", json={"value": "x", "events": "my-secret-value"})
    assert answer.status_code == 422
    assert "my-secret-value" not in answer.text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/repos/no/such", "There is no repository named no/such here."),
        ("/api/repos/no/such/runs", "There is no repository named no/such here."),
        (f"/api/repos/{REPO}/runs/99", f"{REPO} has no run 99."),
        ("/api/steps/99/log", "There is no step 99 here."),
        ("/api/steps/99/stream", "There is no step 99 here."),
        ("/api/runs/99/stream", "There is no run 99 here."),
        ("/api/nonsense", "There is nothing at this address."),
    ],
)
def test_what_is_not_there_is_answered_404_with_a_sentence(
    site: Site, program: TestClient, path: str, sentence: str
) -> None:
    site.add_repo()
    answer = program.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": sentence})


def test_a_number_beyond_the_databases_reach_is_refused(site: Site, program: TestClient) -> None:
    site.add_repo()
    assert program.get(f"/api/repos/{REPO}/runs/{10**30}").status_code == 422


def test_the_description_names_every_call(program: TestClient) -> None:
    paths = program.get("/api/openapi.json").json()["paths"]
    assert {"/api/repos", "/api/runs", "/api/steps/{step_id}/log", "/api/steps/{step_id}/stream"} <= set(paths)
    assert not [path for path in paths if not path.startswith("/api/")]
    assert json.dumps(paths)


def test_healthz_asks_nothing_and_readyz_says_what_is_missing(site: Site, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"ready": True, "database": "ok", "redis": "ok"}


def test_a_run_of_a_removed_repository_is_gone(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    write(begun, 2, TEXT)
    repos.remove(site.services, REPO)
    assert program.get(f"/api/repos/{REPO}").status_code == 404
    assert program.get(f"/api/steps/{begun.steps[2]}/log").status_code == 404
    address = (begun.queued.run_id, begun.queued.job_id, 2, begun.claim.attempt)
    with site.services.logs.open(*address) as reader:
        assert reader.size_bytes == 0


def test_a_commit_with_every_kind_of_text_is_answered_as_json(site: Site, program: TestClient) -> None:
    site.add_repo()
    message = "\u202e \U0001f680 \"'\\ \x01 </script>\n" + "x" * 5000
    site.queue(push(message))
    assert program.get(f"/api/repos/{REPO}/runs/1").json()["message"] == message


def test_a_state_changed_elsewhere_is_seen_at_once(site: Site, program: TestClient) -> None:
    site.add_repo()
    begun = site.begin()
    finish(begun, Outcome(State.BROKEN, Reason.ENGINE_GONE, "The engine is gone."))
    run = program.get(f"/api/repos/{REPO}/runs/1").json()
    assert (run["state"], run["reason"], run["sentence"]) == ("broken", "engine_gone", "The engine is gone.")
    with transaction(site.engine) as session:
        session.execute(update(Secret).values(name="x"))
