"""How long a repository's runs are kept: API, page, and what is said of a run that was removed."""

import pytest
from sqlalchemy import delete, select, update
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site
from workers.db.models import AuditEntry, Run, Step
from workers.db.session import now_ms, reading, transaction
from workers.retention_policy import RetentionPolicy

HERE = f"/api/repos/{REPO}/settings/retention"


def test_the_api_sets_a_repositorys_own_values(site: Site, program: TestClient) -> None:
    site.add_repo()
    assert program.get(HERE).json()["counts"] == vars(site.services.settings.retention)
    set_values = program.put(HERE, json={"run_days": 30, "run_count": 30}).json()
    assert (set_values["own"]["run_days"], set_values["own"]["log_days"]) == (30, None)
    assert set_values["counts"] == vars(RetentionPolicy(90, 30, 30, 90, 10_000))
    assert program.put(HERE, json={}).json()["own"]["run_days"] is None
    with reading(site.engine) as session:
        details = session.scalars(select(AuditEntry.detail).where(AuditEntry.action == "repo.retention")).all()
    assert details[0].endswith("runs for 30 days, at most 30 runs")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"run_days": 366}, "give 1 to 365, as the server keeps no more (HEADWAY_RUN_RETENTION_DAYS)"),
        ({"run_days": 0}, "The days of runs cannot be 0"),
        ({"log_days": 91}, "HEADWAY_RETENTION_DAYS"),
        ({"run_count": 29}, "give 30 to 100000"),
        ({"delivery_count": 99}, "give 100 to 10000"),
        ({"delivery_days": -1}, "The days of deliveries cannot be -1"),
        ({"run_days": 10**30}, "cannot be 1000"),
        ({"run_days": "7"}, "run_days"),
        ({"days": 7}, "days"),
    ],
)
def test_a_wrong_value_is_a_sentence(site: Site, program: TestClient, body: dict[str, object], words: str) -> None:
    site.add_repo()
    answer = program.put(HERE, json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_the_settings_page_sets_and_shows_them(site: Site, browser: TestClient) -> None:
    site.add_repo()
    page = f"/repos/{REPO}/settings"
    form = {"log_days": "7", "run_days": "", "run_count": "", "delivery_days": "", "delivery_count": ""}
    assert browser.post(f"{page}/retention", data=form).headers["location"] == f"{page}#retention"
    assert 'name="log_days" min="1" max="90" value="7" placeholder="90"' in browser.get(page).text
    assert browser.post(f"{page}/retention", data=form | {"log_days": "91"}).status_code == 422
    assert browser.post(f"{page}/retention", data=form | {"log_days": "many"}).status_code == 422
    assert browser.get(f"/api/repos/{REPO}/settings").json()["retention"] == "logs for 7 days"


def test_a_removed_run_says_that_old_runs_are_removed(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.queue()
    with transaction(site.engine) as session:
        session.execute(delete(Run))
    answer = program.get(f"/api/repos/{REPO}/runs/1")
    sentence = "old runs are removed after 365 days or when there are more than 100000 of them."
    assert (answer.status_code, answer.json()["error"]) == (404, f"{REPO} has no run 1 any more: {sentence}")
    program.put(HERE, json={"run_days": 30})
    assert "after 30 days" in program.get(f"/repos/{REPO}/runs/1").text
    assert program.post(f"/api/repos/{REPO}/runs/1/cancel").status_code == 404
    assert program.get(f"/api/repos/{REPO}/runs/2").json()["error"] == f"{REPO} has no run 2."


def test_a_deleted_log_says_whose_rule_it_was(site: Site, program: TestClient) -> None:
    site.add_repo()
    run = site.begin()
    with transaction(site.engine) as session:
        session.execute(update(Run).values(logs_deleted_ms=now_ms()))
        session.execute(update(Step).values(log_bytes=5))
    address = f"/api/steps/{run.steps[1]}/log"
    assert "this server kept logs 90 days" in program.get(address).json()["error"]
    program.put(HERE, json={"log_days": 7})
    assert "this repository kept logs 7 days" in program.get(address).json()["error"]
