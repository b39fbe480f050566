"""How requests without a login are answered. ``test_access_matrix.py`` has every route."""

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import REPO


@pytest.mark.parametrize(
    "path", ["/", f"/repos/{REPO}", f"/repos/{REPO}/runs/1", f"/repos/{REPO}/settings", "/account"]
)
def test_pages_redirect_to_the_login(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "path", ["/api/repos", "/api/openapi.json", "/api/steps/1/log", "/api/steps/1/stream", "/api/stream"]
)
def test_the_api_answers_401_with_a_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert "headway token create" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/static/headway.css", "/static/vendor/htmx.min.js"])
def test_health_login_and_static_files_need_no_login(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200
