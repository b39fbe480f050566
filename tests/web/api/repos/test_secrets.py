"""Secrets, as JSON."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site
from workers.db.models import Secret
from workers.db.session import reading


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
def test_an_invalid_secret_is_refused(site: Site, program: TestClient, name: str, body: dict[str, Any]) -> None:
    site.add_repo()
    answer = program.put(f"/api/repos/{REPO}/secrets/{name}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_the_refusal_of_a_secret_does_not_contain_its_value(site: Site, program: TestClient) -> None:
    site.add_repo()
    answer = program.put(f"/api/repos/{REPO}/secrets/key", json={"value": "x", "events": "my-secret-value"})
    assert answer.status_code == 422
    assert "my-secret-value" not in answer.text


@pytest.mark.parametrize("value", ["x", "abc", " ab \n"])
def test_a_value_that_logs_would_show_is_refused(site: Site, program: TestClient, value: str) -> None:
    site.add_repo()
    answer = program.put(f"/api/repos/{REPO}/secrets/key", json={"value": value})
    assert answer.status_code == 422
    assert "logs show values of fewer than 4 bytes" in answer.text
