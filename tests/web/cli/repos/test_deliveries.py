"""``headway delivery``: the list, one delivery, and its replay."""

import pytest
from sqlalchemy import func, select

from tests.web.cli.command import URL, Headway
from workers import store
from workers.db.delivery_states import DeliveryKind
from workers.db.models import Delivery
from workers.db.session import make_engine, reading, transaction
from workers.forges.kept_payload import kept_payload
from workers.settings import Settings
from workers.store import NewDelivery

PING = b'{"zen": "Keep it simple"}'


@pytest.mark.slow
def test_deliveries_are_listed_shown_and_replayed(headway: Headway) -> None:
    headway.ok("repo", "add", URL, "--name", "acme/harbour")
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with transaction(engine) as session:
        repo = store.repo_by_name(session, "acme/harbour")
        assert repo is not None
        payload = kept_payload({"x-github-event": "ping", "cookie": "hunter2"}, PING, "")
        store.record_delivery(session, repo.id, NewDelivery("one", body_bytes=25, reason="Hello.", payload=payload))
        found = NewDelivery("two", "push", kind=DeliveryKind.FOUND, ref="refs/heads/main", sha="1" * 40, reason="None.")
        store.record_delivery(session, repo.id, found)
    listed = headway.ok("delivery", "list", "acme/harbour").splitlines()
    assert [line.split("\t")[0] for line in listed] == ["2", "1"]
    assert listed[0].split("\t")[2:] == ["found by Headway", "push", "refs/heads/main", "nothing_to_do", "None."]
    assert headway.ok("delivery", "list", "acme/harbour", "--state", "refused") == ""
    assert headway.ok("delivery", "list", "acme/harbour", "--before", "2", "-n", "1").startswith("1\t")
    shown = headway.ok("delivery", "show", "acme/harbour", "1")
    assert "header x-github-event: ping\n" in shown
    assert shown.endswith(f"\n\n{PING.decode()}\n")
    assert "hunter2" not in shown
    assert "No webhook brought it" in headway.ok("delivery", "show", "acme/harbour", "2")
    assert headway.ok("delivery", "replay", "acme/harbour", "1").startswith("delivery 3: GitHub says hello")
    assert "replay of 1 by" in headway.ok("delivery", "list", "acme/harbour", "-n", "1")
    assert "No webhook brought it" in headway.refused("delivery", "replay", "acme/harbour", "2")
    assert "acme/harbour has no delivery 9" in headway.refused("delivery", "show", "acme/harbour", "9")
    assert "no repository named" in headway.refused("delivery", "list", "acme/none")
    with reading(engine) as session:
        assert session.scalar(select(func.count(Delivery.id))) == 3
    engine.dispose()
