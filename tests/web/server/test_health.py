"""``/healthz`` and ``/readyz``."""

from starlette.testclient import TestClient

from tests.web.conftest import Site


def test_healthz_and_readyz_answer_ok(site: Site, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"ready": True, "database": "ok", "redis": "ok"}
