"""The description of the API."""

import json

import pytest
from starlette.testclient import TestClient


@pytest.mark.slow
def test_the_openapi_document_lists_the_api_and_nothing_else(program: TestClient) -> None:
    paths = program.get("/api/openapi.json").json()["paths"]
    assert {"/api/repos", "/api/runs", "/api/steps/{step_id}/log", "/api/steps/{step_id}/stream"} <= set(paths)
    assert not [path for path in paths if not path.startswith("/api/")]
    assert json.dumps(paths)
