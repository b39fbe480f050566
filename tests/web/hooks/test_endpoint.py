"""Webhooks over HTTP, into a real database."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from starlette.testclient import TestClient

from pipelines.state import State
from pipelines.trigger import Event
from tests.support.paths import FORGE_SAMPLES
from tests.support.people import OPERATOR
from tests.support.services import RedisServer, eventually
from tests.web.conftest import REPO, Site
from web.hooks.endpoint import REFUSED_COUNTER
from web.operations.repos import repos
from web.server.app import create_app
from workers import store
from workers.db.models import Delivery, Job, Repo
from workers.db.session import reading, transaction
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import BackgroundNotifier, Notifier
from workers.streaming.redis_stream import CANCEL_CHANNEL, connect

NEW, OLD = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b", "1d2c3b4a5f6e7d8c9bae0f1e2d3c4b5a69788796"
PUSH = {"ref": "refs/heads/main", "before": OLD, "after": NEW, "pusher": "mara"}


def send(
    client: TestClient,
    secret: str,
    payload: Any = PUSH,
    *,
    delivery: str = "d1",
    path: str = f"/hooks/{REPO}",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    raw = json.dumps(payload).encode() if body is None else body
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    own = {"x-headway-signature": f"sha256={digest}", "x-headway-delivery": delivery}
    return client.post(path, content=raw, headers=own | (headers or {}))


def deliveries(site: Site) -> list[Delivery]:
    with reading(site.engine) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def test_a_signed_push_is_answered_202_with_its_run_and_wakes_a_worker(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret)
    assert answer.status_code == 202
    assert answer.json() == {"run": 1, "url": f"http://localhost:8080/repos/{REPO}/runs/1"}
    run = site.run()
    assert (run.state, run.branch, run.sha) == (State.QUEUED, "main", NEW)
    with reading(site.engine) as session:
        assert site.woken == [job.id for job in store.jobs_of(session, run.id)]


def test_the_row_is_committed_before_workers_are_woken(site: Site) -> None:
    secret = site.add_repo().secret
    seen: list[bool] = []

    def wake_workers(*job_ids: int) -> None:
        with reading(site.engine) as session:
            seen.extend(session.get(Job, job_id) is not None for job_id in job_ids)

    parts = site.services
    app = create_app(replace(parts, wake_workers=wake_workers))
    with TestClient(app) as client:
        assert send(client, secret).status_code == 202
    assert seen == [True]


def test_the_same_delivery_again_is_answered_200_with_the_same_run(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    first, second = send(client, secret), send(client, secret)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    assert site.runs() == 1
    assert len(site.woken) == 1


def test_another_delivery_of_the_same_commit_is_another_run(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    assert send(client, secret, {**PUSH, "delivery": "d1"}).json()["run"] == 1
    assert send(client, secret, {**PUSH, "delivery": "d2"}).json()["run"] == 2


def test_a_delivery_that_was_overheard_starts_no_second_run_under_another_id(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    assert send(client, secret, delivery="d1").status_code == 202
    for headers in ({}, {"x-github-delivery": "d2"}, {"x-request-uuid": "d2"}, {"idempotency-key": "d2"}):
        answer = send(client, secret, delivery="d2", headers=headers)
        assert (answer.status_code, answer.json()["run"]) == (200, 1)
    assert site.runs() == 1


def test_one_delivery_sent_many_times_at_once_is_one_run(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(client, secret), range(24)))
    assert sorted({answer.status_code for answer in answers}) == [200, 202]
    assert [answer.status_code for answer in answers].count(202) == 1
    assert {answer.json()["run"] for answer in answers} == {1}


def test_an_unknown_repository_and_a_bad_signature_get_the_same_answer(site: Site, client: TestClient) -> None:
    site.add_repo()
    site.add_repo("acme/lab", forge="gitlab")
    answers = [
        send(client, "guess", path="/hooks/no/such"),
        send(client, "guess"),
        client.post(f"/hooks/{REPO}", content=b"not even json"),
        client.post("/hooks/acme/lab", json=PUSH, headers={"x-gitlab-token": "guess"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert len({answer.content for answer in answers}) == 1
    for answer in answers:
        del answer.headers["x-request-id"]  # random
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert site.counters()[REFUSED_COUNTER] == 4
    assert [kept.state for kept in deliveries(site)] == ["refused", "refused"]  # one for each repository that is there


def test_the_dummy_secret_signs_for_no_unknown_repository(site: Site) -> None:
    app = create_app(site.services)
    sealed = app.state.dummy_hook_secret
    secret = site.services.vault.unseal("repo/0/hook", sealed)
    with TestClient(app) as client:
        assert send(client, secret, path="/hooks/no/such").status_code == 404


def test_a_body_that_is_too_large_is_answered_413(site: Site) -> None:
    secret = site.add_repo().secret
    parts = site.services
    small = parts.settings.model_copy(update={"webhook_body_bytes_max": 1000})
    app = create_app(replace(parts, settings=small))
    with TestClient(app) as client:
        answer = send(client, secret, {**PUSH, "message": "x" * 1000})
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.json()["error"]

        def pieces() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 100

        assert client.post(f"/hooks/{REPO}", content=pieces()).status_code == 413
        assert send(client, secret).status_code == 202
    assert site.runs() == 1


def test_a_body_that_is_not_json_is_answered_400_and_stored_as_refused(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret, body=b"payload=%7B%7D")
    assert answer.status_code == 400
    assert answer.json()["field"] == "body"
    (kept,) = deliveries(site)
    assert kept.state == "refused"
    assert "application/json" in kept.reason
    assert kept.body_bytes == 14


def test_a_missing_field_is_named(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret, {"ref": "refs/heads/main"})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "The payload has no field after, which this event always has.",
        "field": "after",
    }
    assert site.runs() == 0


def test_a_delivery_with_nothing_to_do_is_answered_200_with_the_stored_reason(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret, {**PUSH, "after": "0" * 40})
    assert answer.status_code == 200
    assert answer.json() == {"nothing_to_do": "The branch main was deleted; there is nothing to build."}
    assert [kept.reason for kept in deliveries(site)] == [answer.json()["nothing_to_do"]]
    assert send(client, secret, {**PUSH, "after": "0" * 40}).json() == answer.json()
    assert site.woken == []


def test_skip_ci_in_the_commit_message_starts_no_run(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret, {**PUSH, "message": "Fix a typo [skip ci]"})
    assert answer.status_code == 200
    assert "asks to skip CI" in answer.json()["nothing_to_do"]
    assert site.runs() == 0


def test_a_repository_that_is_switched_off_starts_no_run(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    with transaction(site.engine) as session:
        session.execute(update(Repo).values(active=False))
    assert "switched off" in send(client, secret).json()["nothing_to_do"]
    assert site.runs() == 0


def test_after_a_renewal_the_old_secret_is_refused(site: Site, client: TestClient) -> None:
    old = site.add_repo().secret
    new = repos.renew_webhook_secret(site.services, OPERATOR, REPO).secret
    assert send(client, old).status_code == 404
    assert send(client, new).status_code == 202


def test_a_hook_in_a_shell_gets_one_line_of_text(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    answer = send(client, secret, headers={"accept": "text/plain"})
    assert answer.text == f"run 1: http://localhost:8080/repos/{REPO}/runs/1\n"
    refused = send(client, "guess", headers={"accept": "text/plain"})
    assert refused.text.count("\n") == 1


def test_a_repeated_bitbucket_delivery_with_a_branch_and_a_tag_is_two_runs(site: Site, client: TestClient) -> None:
    secret = site.add_repo(forge="bitbucket").secret
    recorded = json.loads((FORGE_SAMPLES / "bitbucket" / "branch_and_tag.json").read_text())
    body = json.dumps(recorded["body"]).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {**recorded["headers"], "X-Hub-Signature": f"sha256={digest}"}
    first = client.post(f"/hooks/{REPO}", content=body, headers=headers)
    again = client.post(f"/hooks/{REPO}", content=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert [run["run"] for run in first.json()["runs"]] == [1, 2]
    assert first.json() == again.json()
    assert site.runs() == 2
    assert len(site.woken) == 2


def test_hostile_text_is_stored_unchanged(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    message = 'Say "hi" <script>alert(1)</script>\n$(touch owned) \'; DROP TABLE runs; --'
    branch = '$(id)";<script>x</script>'
    assert send(client, secret, {**PUSH, "ref": f"refs/heads/{branch}", "message": message}).status_code == 202
    run = site.run()
    assert (run.message, run.branch) == (message, branch)


def test_a_repository_name_with_odd_characters_is_answered_404(site: Site, client: TestClient) -> None:
    site.add_repo()
    for path in ("/hooks/..%2f..%2fetc", "/hooks/%00", "/hooks/" + "x" * 4000, "/hooks/acme%2Fharbour%27--"):
        assert client.post(path, json=PUSH).status_code == 404


def test_a_push_is_accepted_while_redis_is_down(site: Site, redis_server: RedisServer) -> None:
    secret = site.add_repo().secret
    parts = site.services
    settings = parts.settings.model_copy(update={"redis_url": redis_server.url})
    redis_server.stop()
    redis = connect(redis_server.url)
    with BackgroundNotifier(Notifier(make_celery(settings))) as notifier:
        app = create_app(replace(parts, settings=settings, wake_workers=notifier.notify, redis=redis))
        with TestClient(app) as client:
            answer = send(client, secret)
    redis.close()
    assert answer.status_code == 202
    with reading(site.engine) as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.state == State.QUEUED)) == 1


def test_a_damaged_webhook_secret_fails_only_its_own_repository(site: Site) -> None:
    harbour, damaged = site.add_repo().secret, site.add_repo("acme/damaged").secret
    with transaction(site.engine) as session:
        session.execute(update(Repo).where(Repo.name == "acme/damaged").values(hook_secret_sealed="v1|gone|x|y"))
    with TestClient(create_app(site.services), raise_server_exceptions=False) as client, ThreadPoolExecutor(8) as pool:
        calls = [(harbour, f"/hooks/{REPO}"), (damaged, "/hooks/acme/damaged")] * 4
        answers = list(
            pool.map(lambda n: send(client, calls[n][0], {**PUSH, "delivery": n}, path=calls[n][1]), range(8))
        )
    assert [answer.status_code for answer in answers] == [202, 500] * 4
    assert site.runs() == 4


def test_a_delivery_that_the_database_refuses_does_not_fail_the_others(site: Site) -> None:
    secret, bad = site.add_repo().secret, "b" * 40
    with transaction(site.engine) as session:
        refuse = f"CREATE TRIGGER no BEFORE INSERT ON runs WHEN NEW.sha = '{bad}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        session.execute(text(refuse))
    with TestClient(create_app(site.services), raise_server_exceptions=False) as client, ThreadPoolExecutor(8) as pool:
        shas = [NEW, bad, OLD, bad]
        answers = list(pool.map(lambda n: send(client, secret, {**PUSH, "after": shas[n]}, delivery=f"d{n}"), range(4)))
    assert [answer.status_code for answer in answers] == [202, 500, 202, 500]
    assert sorted(answer.json()["run"] for answer in answers if answer.status_code == 202) == [1, 2]
    assert len(site.woken) == 2


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_than_post_are_answered_405(client: TestClient, method: str) -> None:
    answer = client.request(method, f"/hooks/{REPO}")
    assert answer.status_code == 405
    assert answer.json() == {"error": f"{method} is not possible here."}


def test_a_push_that_supersedes_a_run_sends_a_cancellation_to_its_worker(site: Site, client: TestClient) -> None:
    secret = site.add_repo().secret
    repos.set_newest_wins(site.services, OPERATOR, REPO, [Event.PUSH])
    first = site.begin()
    with site.services.redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]  # no types
        pubsub.subscribe(CANCEL_CHANNEL)
        assert send(client, secret).status_code == 202
        received = eventually(
            lambda: (message := pubsub.get_message()) and message["type"] == "message" and message["data"]
        )
    assert int(received) == first.queued.run_id
    assert site.run(1).cancel_by == "run 2"
