"""``--like``: what started a run is asked of a real server."""

import json
from pathlib import Path

import pytest

from pipelines.state import Reason
from pipelines.trigger import PullRequest, Trigger
from runner.errors import StepError
from tests.web.client.test_commands import Laptop
from tests.web.client.test_servers import answering, http
from tests.web.conftest import REPO, Site, serving
from web.client.servers import Server, keep_token
from web.client.triggers import trigger_of_run
from workers import store
from workers.db.models.runs import Run
from workers.db.session import reading

FILE = "steps: [{name: on-main, image: i, commands: x, when: {branch: main}}, {name: b, image: i, commands: x}]\n"


@pytest.mark.slow
def test_a_plan_is_made_for_what_started_a_run(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add_repo()
    begun = site.begin()
    with reading(site.engine) as session:
        known = store.trigger_of(session.get_one(Run, begun.claim.run_id))
    (tmp_path / ".headway.yml").write_text(FILE)
    with serving(site.services) as url:
        laptop = Laptop(tmp_path, site, url)
        for name, value in laptop.env.items():
            monkeypatch.setenv(name, value)
        laptop.log_in()
        page = f"{url}/repos/{REPO}/runs/1"
        assert trigger_of_run(page) == known
        for more in ("?step=5#L7", "/", "/tests", "#step-5-L1-L2"):
            assert trigger_of_run(page + more) == known
        assert trigger_of_run(f"{url}/api/repos/{REPO}/runs/1") == known
        with pytest.raises(StepError, match=f"{REPO} has no run 99") as fault:
            trigger_of_run(f"{url}/repos/{REPO}/runs/99")
        assert fault.value.reason is Reason.INVALID_PIPELINE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("HEADWAY_SERVER", "HEADWAY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return {"XDG_CONFIG_HOME": str(tmp_path)}


@pytest.mark.parametrize(
    "url",
    ["", "41", "team/app/runs/41", "https://ci/repos/team/app", "https://ci/repos/team/app/runs/x", "ftp://ci/repos/a/runs/1",
     "https://[/repos/a/runs/1", "https://ci/repos//runs/1x", "https://ci/repos/a/runs/1234567890123456"],
)  # fmt: skip
def test_what_is_no_address_of_a_run_is_a_sentence(home: dict[str, str], url: str) -> None:
    with pytest.raises(StepError, match=r"--like is no address of a run's page: .* Copy it from the browser, such as"):
        trigger_of_run(url)


@pytest.mark.parametrize(
    "url", ["https://ci.example.com/repos/a/runs/1", "https://ada:pw@ci.example.com/repos/a/runs/1"]
)
def test_no_token_goes_to_a_server_that_one_has_not_logged_in_to(home: dict[str, str], url: str) -> None:
    keep_token(Server("https://other.example.com", "t"), home)
    with pytest.raises(StepError, match=r"There is no token for https://ci|has more than an address of a server"):
        trigger_of_run(url)


def answered(home: dict[str, str], answer: object) -> Trigger:
    with answering(http("200 OK", json.dumps(answer).encode())) as url:
        keep_token(Server(f"{url}/ci", "t"), home)
        return trigger_of_run(f"{url}/ci/repos/a%20b/runs/1")


def test_what_only_a_newer_server_knows_is_left_out(home: dict[str, str]) -> None:
    pull = {"number": 1, "source_branch": "s", "target_branch": "t", "mood": "good"}
    found = answered(home, {"event": "pull_request", "sha": "", "ref": "r", "weather": [], "pull_request": pull})
    assert found.pull_request == PullRequest(number=1, source_branch="s", target_branch="t")


@pytest.mark.parametrize("answer", [{}, [], None, "x", {"event": "flood", "sha": "", "ref": ""}])
def test_what_is_no_trigger_is_a_sentence(home: dict[str, str], answer: object) -> None:
    with pytest.raises(StepError, match="is no trigger; use the version of headway that the server has"):
        answered(home, answer)
