"""The limits of what the API may be asked: at the limit there is an answer, one past it a 422."""

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import REPO, Site

HIGHEST_ID = 2**53


@pytest.mark.parametrize(
    ("path", "name", "least", "most"),
    [
        (f"/api/repos/{REPO}/runs", "limit", 1, 200),
        (f"/api/repos/{REPO}/runs", "before", 1, HIGHEST_ID),
        ("/api/steps/1/log", "offset", 0, HIGHEST_ID),
        ("/api/steps/1/log", "max_bytes", 1, 4 * 1024**2),
        ("/api/steps/1/log", "line", 1, HIGHEST_ID),
        ("/api/steps/1/log", "lines", 1, 20_000),
        ("/api/steps/1/log", "last", 1, 20_000),
        ("/api/steps/1/log/sources", "offset", 0, HIGHEST_ID),
        ("/api/steps/1/log/sources", "max_bytes", 1, HIGHEST_ID),
    ],
)
def test_a_number_in_a_query_has_a_least_and_a_greatest_value(
    site: Site, program: TestClient, path: str, name: str, least: int, most: int
) -> None:
    site.add_repo()
    for value in (least, most):
        assert program.get(path, params={name: value}).status_code in {200, 404}, value
    for value in (least - 1, most + 1):
        assert program.get(path, params={name: value}).status_code == 422, value


@pytest.mark.parametrize("path", ["/api/steps/{}/log", f"/api/repos/{REPO}/runs/{{}}"])
def test_an_id_in_a_path_is_a_whole_number_that_programs_can_hold(site: Site, program: TestClient, path: str) -> None:
    site.add_repo()
    for value in (1, HIGHEST_ID):
        assert program.get(path.format(value)).status_code == 404, value
    for value in (0, HIGHEST_ID + 1):
        assert program.get(path.format(value)).status_code == 422, value


@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (1_000, True), (1_001, False)])
def test_a_log_is_searched_for_1_to_1000_characters(program: TestClient, length: int, taken: bool) -> None:
    status = program.get("/api/steps/1/log/search", params={"text": "x" * length}).status_code
    assert status == (404 if taken else 422)


@pytest.mark.slow
@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (65_536, True), (65_537, False)])
def test_a_secret_has_1_to_65536_bytes(site: Site, program: TestClient, length: int, taken: bool) -> None:
    site.add_repo()
    status = program.put(f"/api/repos/{REPO}/secrets/TOKEN", json={"value": "x" * length}).status_code
    assert (status == 422) is not taken
    assert status < 500


def test_a_request_has_at_most_as_many_bytes_as_the_settings_say(site: Site, client: TestClient) -> None:
    most = site.services.settings.webhook_body_bytes_max
    assert client.post("/hooks/unknown", content=b"x" * most).status_code == 404
    assert client.post("/hooks/unknown", content=b"x" * (most + 1)).status_code == 413
