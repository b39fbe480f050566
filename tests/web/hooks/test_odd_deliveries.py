"""Forms over HTTP as GitHub and Gitea sign them, and the rows of deliveries that were refused unread."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tests.support.paths import FORGE_SAMPLES
from tests.web.conftest import REPO, Site
from web.server.app import create_app
from workers import store
from workers.db.models import Delivery
from workers.db.session import reading

FORM = "application/x-www-form-urlencoded"


def digest(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def form_push(forge: str, secret: str, extra: str = "") -> tuple[bytes, dict[str, str]]:
    """A push as the forge sends it with the content type of a form: GitHub signs the form, Gitea the JSON in it."""
    sample = json.loads((FORGE_SAMPLES / forge / "push.json").read_text())
    text = json.dumps(sample["body"])
    body = urlencode({"payload": text}).encode() + extra.encode()
    if forge == "github":
        signature = {"x-hub-signature-256": f"sha256={digest(secret, body)}"}
    else:
        signature = {"x-gitea-signature": digest(secret, text.encode())}
    recorded = {name.lower(): value for name, value in sample["headers"].items()}
    return body, {**recorded, **signature, "content-type": FORM}


def rows(site: Site) -> list[Delivery]:
    with reading(site.engine) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_push_in_a_form_starts_its_run_once(site: Site, client: TestClient, forge: str) -> None:
    secret = site.add_repo(forge=forge).secret
    body, headers = form_push(forge, secret)
    assert client.post(f"/hooks/{REPO}", content=body, headers=headers).status_code == 202
    assert site.run().branch == "main"
    assert client.post(f"/hooks/{REPO}", content=body, headers=headers).status_code == 200
    # What is beside the payload is not signed by Gitea: a delivery that was overheard starts no second run with it.
    body, headers = form_push(forge, secret, "&again=1")
    assert client.post(f"/hooks/{REPO}", content=body, headers=headers).status_code == 200
    assert site.runs() == 1


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_form_with_another_payload_or_secret_is_refused(site: Site, client: TestClient, forge: str) -> None:
    secret = site.add_repo(forge=forge).secret
    for body, headers in (form_push(forge, "guess"), form_push(forge, secret)):
        changed = body.replace(b"refs%2Fheads%2Fmain", b"refs%2Fheads%2Fevil")
        assert client.post(f"/hooks/{REPO}", content=changed, headers=headers).status_code == 404
    assert site.runs() == 0


def test_deliveries_with_a_wrong_signature_leave_one_row_that_says_so(site: Site, client: TestClient) -> None:
    site.add_repo()
    for text in (b"{}", b"{  }"):
        assert client.post(f"/hooks/{REPO}", content=text).status_code == 404
    assert client.post("/hooks/no/such", content=b"{}").status_code == 404
    (row,) = rows(site)
    assert (row.state, row.body_bytes) == ("refused", 4)
    assert f"`headway repo hook {REPO}`" in row.reason


def test_a_delivery_that_is_too_large_leaves_a_row_that_says_so(site: Site) -> None:
    site.add_repo()
    settings = site.services.settings.model_copy(update={"webhook_body_bytes_max": 100})
    with TestClient(create_app(replace(site.services, settings=settings))) as client:
        answers: list[Any] = [client.post(f"/hooks/{name}", content=b"x" * 101) for name in (REPO, "no/such")]
        assert [answer.status_code for answer in answers] == [413, 413]
        assert answers[0].content == answers[1].content
        assert client.post(f"/hooks/{REPO}", content=b"x" * 100).status_code == 404
    large, unsigned = rows(site)
    assert (large.state, large.body_bytes) == ("refused", 101)
    assert "HEADWAY_WEBHOOK_BODY_BYTES_MAX" in large.reason
    assert unsigned.body_bytes == 100


def test_the_newest_deliveries_come_first_with_their_runs(site: Site, client: TestClient) -> None:
    secret = site.add_repo(forge="github").secret
    body, headers = form_push("github", secret)
    client.post(f"/hooks/{REPO}", content=body, headers=headers)
    client.post(f"/hooks/{REPO}", content=b"{}")
    with reading(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        found = store.newest_deliveries(session, repo.id, 5)
    assert [(row.state, number) for row, number in found] == [("refused", None), ("accepted", 1)]
