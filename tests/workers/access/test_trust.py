"""What a trigger may use, and which credentials a job gets for that."""

import pytest
from sqlalchemy import Engine

from pipelines.context import Trust
from pipelines.trigger import Event, Trigger
from runner.docker.specs import Login
from tests.support.builders import SHA, pull_request, push
from tests.support.services import TEST_KEY
from workers import store
from workers.access.credentials import registry_logins_for, secrets_for
from workers.access.trust import Permissions, permissions
from workers.db.session import transaction
from workers.secrets.vault import parse_keys, registry_place, secret_place

TRUST = Trust(volumes=True)
EVERYTHING = Permissions(
    secrets=True,
    push=True,
    registry_logins=True,
    clone_login=True,
    proxy_logins=True,
    host_options=TRUST,
    group_scope="",
)
FORK = pull_request(from_fork=True)


@pytest.mark.parametrize("event", [event for event in Event if not event.value.startswith("pull_request")])
def test_what_happens_in_the_repository_itself_may_use_everything(event: Event) -> None:
    trigger = Trigger(event=event, sha=SHA, ref="refs/heads/main", branch="main")
    assert permissions(trigger, TRUST) == EVERYTHING


def test_a_pull_request_between_branches_of_the_repository_may_use_everything() -> None:
    assert permissions(pull_request(from_fork=False), TRUST) == EVERYTHING


@pytest.mark.parametrize("event", [Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED, Event.PULL_REQUEST_METADATA])
def test_a_pull_request_from_a_fork_may_use_no_credentials_and_no_shared_group(event: Event) -> None:
    allowed = permissions(FORK.model_copy(update={"event": event}), TRUST)
    assert allowed == Permissions(
        secrets=False,
        push=False,
        registry_logins=False,
        clone_login=False,
        proxy_logins=False,
        host_options=TRUST,
        group_scope="refs/pull/7/head",
    )


@pytest.mark.parametrize(("trigger", "given"), [(push(), True), (FORK, False)])
def test_a_job_gets_credentials_only_where_its_trigger_may_use_them(
    sqlite_database: Engine, trigger: Trigger, *, given: bool
) -> None:
    vault = parse_keys([TEST_KEY], "the test")
    with transaction(sqlite_database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
        sealed = vault.seal(secret_place(repo_id, "token"), "hunter2")
        store.put_secret(session, repo_id, "token", sealed, list(Event))
        password = vault.seal(registry_place(None, "registry.test"), "swordfish")
        store.put_registry(session, None, "registry.test", "robot", password)
    allowed = permissions(trigger, Trust())
    secrets = secrets_for(sqlite_database, vault, repo_id, trigger.event, allowed)
    logins = registry_logins_for(sqlite_database, vault, repo_id, allowed)
    assert secrets == ({"token": "hunter2"} if given else {})
    assert logins == ({"registry.test": Login("robot", "swordfish")} if given else {})
