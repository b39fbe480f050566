"""Each request has an id, in its answer and in the lines of the log."""

import re

import pytest
from starlette.testclient import TestClient
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from tests.web.conftest import REPO, Site
from web.security.request_ids import REQUEST_ID_CHARS_MAX
from web.server.app import create_app
from workers.db.session import downgrade


@pytest.mark.parametrize("given", ["a", "6f1c.A_b-9", "x" * REQUEST_ID_CHARS_MAX])
def test_a_plain_id_is_taken_over(client: TestClient, given: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * (REQUEST_ID_CHARS_MAX + 1), "a b", "a;b", "a\tb", '"', "<b>", "\u00e4"])
def test_another_one_is_replaced(client: TestClient, given: str) -> None:
    answered = [client.get("/none", headers={b"x-request-id": given.encode()}) for _ in range(2)]
    answers = [answer.headers["x-request-id"] for answer in answered]
    assert all(re.fullmatch("[0-9a-f]{16}", answer) for answer in answers)
    assert answers[0] != answers[1]


def test_the_log_has_the_ids_of_a_request_and_its_delivery(site: Site) -> None:
    site.add_repo()
    with TestClient(create_app(site.services), base_url="http://localhost") as client:
        downgrade(site.engine, "base")
        headers = {"x-request-id": "r-1", "x-github-delivery": "d" * 100}
        with capture_logs(processors=[merge_contextvars]) as lines:
            assert client.post(f"/hooks/{REPO}", headers=headers).status_code == 503
    (line,) = [line for line in lines if line["event"] == "the database cannot be used"]
    assert (line["request"], line["delivery"]) == ("r-1", "d" * 64)
    assert "request" not in get_contextvars()
