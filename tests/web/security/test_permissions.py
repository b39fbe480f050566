"""Which routes need a login, and which an administrator."""

import re

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site
from web.server.app import ROUTERS

SAME_SITE = {"sec-fetch-site": "same-origin"}


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


def test_every_other_route_needs_a_login(site: Site, client: TestClient) -> None:
    site.add_repo()
    public = {"/healthz", "/readyz", "/login", "/schema.json"}
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, Route)]
    assert len(routes) > 40
    for route in routes:
        if route.path in public:
            continue
        address = re.sub(r"\{[a-z_]+\}", "1", route.path.replace("{name:path}", REPO))
        for method in route.methods or ():
            answer = client.request(method, address, headers=SAME_SITE)
            refused = answer.status_code == 401 or answer.headers.get("location", "").startswith("/login")
            assert refused, (method, address, answer.status_code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"/api/repos/{REPO}/secrets/key"),
        ("DELETE", f"/api/repos/{REPO}/secrets/key"),
        ("PUT", f"/api/repos/{REPO}/crons/nightly"),
        ("DELETE", f"/api/repos/{REPO}/crons/nightly"),
        ("POST", f"/repos/{REPO}/settings/secrets"),
        ("POST", f"/repos/{REPO}/settings/secrets/delete"),
        ("POST", f"/repos/{REPO}/settings/newest-wins"),
        ("POST", f"/repos/{REPO}/settings/untrusted"),
        ("POST", f"/repos/{REPO}/runs/1/approve"),
        ("POST", f"/api/repos/{REPO}/runs/1/approve"),
        ("POST", f"/repos/{REPO}/crons"),
        ("POST", f"/repos/{REPO}/crons/switch"),
        ("POST", f"/repos/{REPO}/crons/delete"),
    ],
)
def test_only_an_administrator_changes_secrets_crons_and_settings(
    site: Site, guest: TestClient, method: str, path: str
) -> None:
    site.add_repo()
    assert guest.request(method, path).status_code == 403


def test_a_user_who_is_no_administrator_sees_no_form_for_secrets(site: Site, guest: TestClient) -> None:
    site.add_repo()
    assert guest.get(f"/api/repos/{REPO}/secrets").json() == []
    assert "An administrator can change them." in guest.get(f"/repos/{REPO}/settings").text
