"""The schema of pipeline files, for editors."""

import json

from starlette.testclient import TestClient

from pipelines.model.json_schema import schema


def test_an_editor_gets_the_schema_without_a_login(client: TestClient) -> None:
    answer = client.get("/schema.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert json.loads(answer.text) == schema()


def test_a_client_that_has_the_schema_is_answered_304(client: TestClient) -> None:
    first = client.get("/schema.json")
    assert first.headers["cache-control"] == "public, max-age=3600"
    for known in (first.headers["etag"], f'W/{first.headers["etag"]}, "other"'):
        again = client.get("/schema.json", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert client.get("/schema.json", headers={"if-none-match": '"other"'}).status_code == 200
