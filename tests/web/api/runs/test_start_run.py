"""Runs that a person starts over the API."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.trigger import Event
from tests.web.conftest import REPO, Site
from workers.db.roles import Role

RUNS = f"/api/repos/{REPO}/runs"


@pytest.fixture(autouse=True)
def repo(site: Site) -> None:
    site.add_repo()


def test_a_run_is_started_by_hand_and_a_worker_is_woken(site: Site, program: TestClient) -> None:
    answer = program.post(RUNS, json={"branch": "topic", "inputs": {"TARGET": "staging"}})
    assert answer.status_code == 202
    assert answer.json() == {"run": 1, "url": f"http://localhost:8080/repos/{REPO}/runs/1"}
    assert len(site.woken) == 1
    started = site.trigger()
    assert (started.event, started.ref, started.sha) == (Event.MANUAL, "refs/heads/topic", "")
    assert (started.sender, started.inputs) == ("ada", {"TARGET": "staging"})


def test_a_deployment_is_started_by_hand(site: Site, guest: TestClient) -> None:
    site.give_role("bob", Role.WRITE)
    body = {"event": "deployment", "target": "production", "tag": "v1"}
    assert guest.post(RUNS, json=body).status_code == 202
    started = site.trigger()
    assert (started.event, started.deploy_target, started.ref) == (Event.DEPLOYMENT, "production", "refs/tags/v1")
    assert started.sender == "bob"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"branch": "a b"}, "cannot be a branch"),
        ({"event": "deployment"}, "needs a target"),
        ({"event": "push"}, "event"),
        ({"inputs": {"CI_X": "1"}}, "Headway's own"),
        ({"inputs": {"BASH_ENV": "$(env | rev)"}}, "'BASH_ENV' cannot be an input: a shell, an interpreter"),
        ({"inputs": {"ld_preload": "/x.so"}}, "'ld_preload' cannot be an input"),
        ({"inputs": {f"A{number}": "" for number in range(51)}}, "has 51 inputs; the limit is 50"),
        ({"inputs_by_admin": True}, "inputs_by_admin"),
        ({"by_admin": True}, "by_admin"),
        ({"inputs": {"A": 1}}, "inputs.A"),
        ({"brunch": "x"}, "brunch"),
    ],
)
def test_an_invalid_request_for_a_run_is_refused_with_a_sentence(
    site: Site, program: TestClient, body: dict[str, Any], why: str
) -> None:
    answer = program.post(RUNS, json=body)
    assert answer.status_code == 422
    assert why in answer.json()["error"]
    assert site.runs() == 0
