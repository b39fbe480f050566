"""A repository's deliveries, listed, shown and replayed, and what a replay must not do."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from starlette.testclient import TestClient

from tests.contract.forges.test_forges import sample
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, SHA, Site
from web.operations.incoming import SWITCHED_OFF
from web.operations.repos import repos
from web.server.app import create_app
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.models import Approval, AuditEntry, Delivery, DeliveryPayload, Repo
from workers.db.roles import Role
from workers.db.session import now_ms, reading, transaction
from workers.store.runs.deliveries import (
    PAYLOADS_OF_REPO_BYTES_MAX,
    NewDelivery,
    Payload,
    drop_old_payloads,
    record_delivery,
)

PATH = f"/api/repos/{REPO}/deliveries"
PUSH = {"ref": "refs/heads/main", "before": "0" * 40, "after": SHA, "pusher": "mara"}


def send(client: TestClient, secret: str, payload: Any, headers: dict[str, str] | None = None) -> Any:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    digest = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    own = {"x-headway-signature": digest, "x-hub-signature-256": digest, "x-hub-signature": digest}
    return client.post(f"/hooks/{REPO}", content=raw, headers=(headers or {}) | own)


def ids(program: TestClient, query: str = "") -> list[int]:
    return [each["id"] for each in program.get(PATH + query).json()]


def test_a_delivery_is_listed_with_its_verdict_and_shown_with_headers_and_payload(
    site: Site, program: TestClient
) -> None:
    send(program, site.add_repo().secret, PUSH, {"cookie": "session=hunter2", "x-headway-delivery": "d1"})
    (listed,) = program.get(PATH).json()
    facts = ("kind", "state", "reason", "event", "ref", "sha", "run", "repeats", "replayed_by")
    assert [listed[name] for name in facts] == [
        "webhook", "accepted", "", "push", "refs/heads/main", SHA, 1, None, ""
    ]  # fmt: skip
    shown = program.get(f"{PATH}/{listed['id']}").json()
    assert (json.loads(shown["payload"]), shown["missing"]) == (PUSH, "")
    assert shown["headers"]["x-headway-delivery"] == "d1"
    assert shown["headers"]["cookie"] == shown["headers"]["authorization"] == "(not kept)"
    assert "hunter2" not in json.dumps(shown)


def test_a_replay_is_a_delivery_of_its_own_with_a_run_of_its_own(site: Site, program: TestClient) -> None:
    send(program, site.add_repo().secret, PUSH)
    (first,) = ids(program)
    answer = program.post(f"{PATH}/{first}/replay")
    made = answer.json()
    assert (answer.status_code, made["kind"], made["run"], made["repeats"]) == (202, "replay", 2, first)
    assert made["replayed_by"] == "ada"
    assert site.run(2).parent_run_id == site.run(1).id
    assert len(site.woken) == 2
    # A replay is replayed as what it repeats was.
    again = program.post(f"{PATH}/{made['id']}/replay").json()
    assert (again["run"], again["repeats"]) == (3, made["id"])
    assert json.loads(program.get(f"{PATH}/{again['id']}").json()["payload"]) == PUSH
    assert ids(program) == [again["id"], made["id"], first]
    with reading(site.engine) as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "delivery.replay")).all()
    assert [(each.target, each.detail) for each in entries] == [
        (f"{REPO} delivery {first}", f"as delivery {made['id']}: run 2"),
        (f"{REPO} delivery {made['id']}", f"as delivery {again['id']}: run 3"),
    ]


def test_a_replay_ends_no_newer_run_of_its_branch(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    with transaction(site.engine) as session:
        session.execute(update(Repo).values(newest_wins=["push"]))
    send(program, secret, PUSH)
    send(program, secret, PUSH | {"after": "2" * 40})
    first = ids(program)[-1]
    assert site.run(1).state.value == "canceled"
    assert program.post(f"{PATH}/{first}/replay").json()["run"] == 3
    assert site.run(2).state.value == "queued"


@pytest.mark.parametrize("removed", [False, True])
def test_a_replay_of_what_has_no_run_ends_no_newer_one_either(
    site: Site, program: TestClient, *, removed: bool
) -> None:
    """It came while the repository was switched off, or retention has removed its run."""
    secret = site.add_repo().secret
    with transaction(site.engine) as session:
        session.execute(update(Repo).values(newest_wins=["push"]))
    _switch(site, active=removed)
    send(program, secret, PUSH)
    _switch(site, active=True)
    send(program, secret, PUSH | {"after": "2" * 40})
    if removed:
        with transaction(site.engine) as session:
            session.execute(update(Delivery).where(Delivery.sha == SHA).values(run_id=None))
    newer = site.runs()
    assert program.post(f"{PATH}/{ids(program)[-1]}/replay").json()["run"] == newer + 1
    assert site.run(newer).state.value == "queued"
    # The next push ends both.
    send(program, secret, PUSH | {"after": "3" * 40})
    assert [site.run(number).state.value for number in (newer, newer + 1)] == ["canceled", "canceled"]


def test_the_forge_sends_again_and_finds_the_first_run_also_after_a_replay(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    send(program, secret, PUSH)
    program.post(f"{PATH}/{ids(program)[0]}/replay")
    answer = send(program, secret, PUSH)
    assert (answer.status_code, answer.json()["run"]) == (200, 1)


def test_a_delivery_that_names_several_refs_is_replayed_as_a_whole(site: Site, program: TestClient) -> None:
    secret = site.add_repo(forge="bitbucket").secret
    headers, raw = sample("bitbucket", "branch_and_tag")
    assert send(program, secret, raw, headers).status_code == 202
    triggers = [site.trigger(number) for number in (1, 2)]
    second, first = ids(program)
    for each, run in ((first, 3), (second, 5)):
        answer = program.post(f"{PATH}/{each}/replay")
        assert answer.json()["run"] == run, answer.text
    assert [site.trigger(number) for number in (3, 4, 5, 6)] == triggers * 2
    # A run repeats the one of its own ref.
    parents = [site.run(number).parent_run_id for number in (3, 4, 5, 6)]
    assert parents == [site.run(1).id, None, None, site.run(2).id]


def test_a_payload_that_was_refused_and_one_without_a_run_are_replayed_too(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    send(program, secret, b"no json")
    _switch(site, active=False)
    send(program, secret, PUSH)
    off, refused = ids(program)
    assert program.get(f"{PATH}/{off}").json()["reason"] == SWITCHED_OFF
    assert program.post(f"{PATH}/{off}/replay").json()["reason"] == SWITCHED_OFF
    _switch(site, active=True)
    assert program.post(f"{PATH}/{off}/replay").json()["run"] == 1
    again = program.post(f"{PATH}/{refused}/replay").json()
    assert (again["state"], again["run"]) == ("refused", None)
    assert "not JSON" in again["reason"]


def _switch(site: Site, *, active: bool) -> None:
    with transaction(site.engine) as session:
        session.execute(update(Repo).values(active=active))


def test_what_was_refused_unread_is_kept_nowhere_and_cannot_be_replayed(site: Site, program: TestClient) -> None:
    site.add_repo()
    small = site.services.settings.model_copy(update={"webhook_body_bytes_max": 100})
    send(program, "guess", PUSH)
    with TestClient(create_app(replace(site.services, settings=small))) as other:
        send(other, "guess", {"x": "x" * 100})
    assert len(ids(program, "?state=refused")) == 2
    for each in ids(program):
        shown = program.get(f"{PATH}/{each}").json()
        assert (shown["payload"], shown["headers"]) == ("", {})
        answer = program.post(f"{PATH}/{each}/replay")
        assert answer.status_code == 409
        assert "refused unread" in answer.json()["error"]
    with reading(site.engine) as session:
        assert session.scalars(select(DeliveryPayload)).all() == []


def test_a_payload_that_is_not_kept_any_more_is_a_sentence(site: Site, program: TestClient) -> None:
    send(program, site.add_repo().secret, PUSH)
    with transaction(site.engine) as session:
        session.execute(delete(DeliveryPayload))
    (each,) = ids(program)
    assert "not kept any more" in program.get(f"{PATH}/{each}").json()["missing"]
    answer = program.post(f"{PATH}/{each}/replay")
    assert (answer.status_code, site.runs()) == (409, 1)
    assert "Push again" in answer.json()["error"]


@pytest.mark.parametrize(("policy", "outcome"), [(UntrustedRuns.APPROVE, "held"), (UntrustedRuns.NEVER, "refused")])
def test_a_replay_raises_no_trust_of_a_fork(
    site: Site, program: TestClient, policy: UntrustedRuns, outcome: str
) -> None:
    """When it came, the forge said that its author may write to the repository; by now that may be over."""
    secret = site.add_repo(forge="github").secret
    headers, raw = sample("github", "pr_from_fork")
    payload = json.loads(raw)
    pull = payload["pull_request"] | {"author_association": "MEMBER"}
    payload |= {"pull_request": pull, "sender": pull["user"]}
    pull["head"]["repo"]["owner"] = pull["user"]
    assert send(program, secret, payload, headers).status_code == 202
    first = site.trigger(1).pull_request
    assert first is not None
    assert first.author_may_write
    with transaction(site.engine) as session:
        session.execute(delete(Approval))
    repos.set_untrusted_runs(site.services, OPERATOR, REPO, policy, PipelineFrom.COMMIT)
    made = program.post(f"{PATH}/{ids(program)[-1]}/replay").json()
    with reading(site.engine) as session:
        assert session.scalars(select(Approval)).all() == []
    if outcome == "held":
        again = site.trigger(2).pull_request
        assert site.run(2).held
        assert again is not None
        assert (again.from_fork, again.author_may_write) == (True, False)
    else:
        assert (made["run"], made["reason"][:8]) == (None, "Not run:")


def test_pages_go_back_by_id_and_filters_leave_others_out(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    for number in range(5):
        send(program, secret, PUSH | {"delivery": str(number)})
    send(program, secret, PUSH | {"after": "0" * 40, "delivery": "deleted"})
    everything = ids(program)
    assert everything == sorted(everything, reverse=True)
    assert ids(program, "?limit=2") == everything[:2]
    assert ids(program, f"?limit=2&before={everything[1]}") == everything[2:4]
    assert ids(program, "?state=nothing_to_do") == everything[:1]
    assert ids(program, f"?before={everything[-1]}") == []
    for wrong in ("?state=odd", "?limit=0", "?limit=201", "?before=0", f"?before={2**53 + 1}"):
        assert program.get(PATH + wrong).status_code == 422
    for missing in (f"{PATH}/{2**53}", f"{PATH}/{everything[0] + 1}"):
        assert "has no delivery" in program.get(missing).json()["error"]
        assert program.post(f"{missing}/replay").status_code == 404


def test_the_delivery_of_another_repository_is_not_found(site: Site, program: TestClient) -> None:
    send(program, site.add_repo().secret, PUSH)
    site.add_repo("acme/other")
    (each,) = ids(program)
    assert program.get(f"/api/repos/acme/other/deliveries/{each}").status_code == 404
    assert program.post(f"/api/repos/acme/other/deliveries/{each}/replay").status_code == 404
    assert site.runs() == 1


def test_who_may_start_runs_may_not_read_payloads(site: Site, guest: TestClient) -> None:
    send(guest, site.add_repo().secret, PUSH)
    site.give_role("bob", Role.WRITE)
    with reading(site.engine) as session:
        each = session.scalars(select(Delivery.id)).one()
    for call in (guest.get(PATH), guest.get(f"{PATH}/{each}"), guest.post(f"{PATH}/{each}/replay")):
        assert call.status_code == 403
    assert site.runs() == 1


def test_old_payloads_and_those_beyond_the_newest_go_and_their_deliveries_stay(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    for number in range(4):
        send(program, secret, PUSH | {"delivery": str(number)})
    newest, *older = ids(program)
    with transaction(site.engine) as session:
        for age, each in enumerate((newest, *older)):
            key = session.get_one(Delivery, each).payload_key
            then = {"stored_ms": now_ms() - age * 86_400_000 - 60_000}
            session.execute(update(DeliveryPayload).where(DeliveryPayload.key == key).values(then))
        drop_old_payloads(session, days=3, of_repo_max=4)
    kept = [not program.get(f"{PATH}/{each}").json()["missing"] for each in ids(program)]
    assert kept == [True, True, True, False]
    with transaction(site.engine) as session:
        drop_old_payloads(session, days=3, of_repo_max=3)
        assert len(session.scalars(select(DeliveryPayload)).all()) == 3
        drop_old_payloads(session, days=3, of_repo_max=2)
        assert len(session.scalars(select(DeliveryPayload)).all()) == 2
    assert not program.get(f"{PATH}/{newest}").json()["missing"]
    assert len(ids(program)) == 4


def test_large_payloads_of_a_repository_take_only_so_much_room_at_once(site: Site, program: TestClient) -> None:
    """A sender who has the secret must not fill the database's disk before the scheduler looks."""
    site.add_repo()
    large = Payload({}, b"x" * (PAYLOADS_OF_REPO_BYTES_MAX // 4))
    for number in range(6):
        with transaction(site.engine) as session:
            repo = store.repo_by_name(session, REPO)
            assert repo is not None
            record_delivery(session, repo.id, NewDelivery(f"d{number}", payload=large))
            session.execute(update(DeliveryPayload).values(stored_ms=DeliveryPayload.stored_ms - 1000))
            kept = session.scalars(select(DeliveryPayload.key).order_by(DeliveryPayload.stored_ms)).all()
            assert kept == [f"d{each}" for each in range(max(0, number - 3), number + 1)]
    assert len(ids(program)) == 6


def test_the_bytes_of_payloads_count_up_to_the_limit(site: Site, program: TestClient) -> None:
    secret = site.add_repo().secret
    for number in range(3):
        send(program, secret, PUSH | {"delivery": str(number)})
    with transaction(site.engine) as session:
        sizes = session.scalars(select(func.length(DeliveryPayload.body))).all()
        drop_old_payloads(session, bytes_max=sum(sizes))
        assert len(session.scalars(select(DeliveryPayload)).all()) == 3
        drop_old_payloads(session, bytes_max=sum(sizes) - 1)
        assert len(session.scalars(select(DeliveryPayload)).all()) == 2


def test_a_removed_repository_leaves_no_payload(site: Site, program: TestClient) -> None:
    send(program, site.add_repo().secret, PUSH)
    repos.remove(site.services, OPERATOR, REPO)
    with reading(site.engine) as session:
        assert session.scalars(select(DeliveryPayload)).all() == []
        assert store.repo_by_name(session, REPO) is None
