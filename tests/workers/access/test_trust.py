"""What a trigger may use, whether it may run, and which credentials a job gets for that."""

import pytest
from sqlalchemy import Engine

from pipelines.context import Access, Trust
from pipelines.state import Reason
from pipelines.trigger import Event, SentTree, Trigger
from runner.docker.containers.specs import Login
from runner.errors import StepError
from tests.support.builders import SHA, pull_request, push
from tests.support.services import TEST_KEY
from workers import store
from workers.access.credentials import job_secrets, registry_logins_for
from workers.access.trust import (
    Admission,
    Permissions,
    UntrustedRuns,
    admission,
    admission_when_queued,
    permissions,
    required_tag,
    why_untrusted,
)
from workers.db.session import transaction
from workers.secrets.vault import parse_keys, registry_place, secret_place

TRUST = Trust(network=True, volumes=True, security=True, ssh=True)
EVERYTHING = Permissions(
    secrets=True,
    registry_logins=True,
    clone_login=True,
    proxy_logins=True,
    access=Access(TRUST, push=True, shared_caches=True),
    group_scope="",
)
FORK = pull_request(from_fork=True)
SENT = push().model_copy(update={"sent_tree": SentTree(), "ref": "refs/sent/1"})


def nothing(why: str, scope: str) -> Permissions:
    return Permissions(
        secrets=False,
        registry_logins=False,
        clone_login=False,
        proxy_logins=False,
        access=Access(Trust(), push=False, shared_caches=False, untrusted=why),
        group_scope=scope,
    )


def of_event(event: Event, tag: str = "") -> Trigger:
    return Trigger(event=event, sha=SHA, ref="refs/heads/main", branch="main", tag=tag)


@pytest.mark.parametrize("event", [event for event in Event if not event.value.startswith("pull_request")])
def test_what_happens_in_the_repository_itself_may_use_everything(event: Event) -> None:
    assert permissions(of_event(event), TRUST, on_branch=True) == EVERYTHING


def test_a_pull_request_between_branches_of_the_repository_may_use_everything() -> None:
    assert permissions(pull_request(from_fork=False), TRUST, on_branch=True) == EVERYTHING


@pytest.mark.parametrize("event", [Event.PULL_REQUEST, Event.PULL_REQUEST_CLOSED, Event.PULL_REQUEST_METADATA])
@pytest.mark.parametrize("on_branch", [True, False])
def test_a_pull_request_from_a_fork_may_use_nothing_even_in_a_trusted_repository(
    event: Event, *, on_branch: bool
) -> None:
    allowed = permissions(FORK.model_copy(update={"event": event}), TRUST, on_branch=on_branch)
    assert allowed == nothing("it comes from a fork", "refs/pull/7/head")


@pytest.mark.parametrize("event", list(Event))
def test_a_commit_on_no_branch_may_use_nothing_whatever_started_the_run(event: Event) -> None:
    why = "no branch or tag of the repository contains its commit"
    assert permissions(of_event(event), TRUST, on_branch=False) == nothing(why, "refs/heads/main")


@pytest.mark.parametrize("event", [Event.TAG, Event.RELEASE])
def test_a_tag_must_contain_the_commit_that_has_its_secrets(event: Event) -> None:
    trigger = of_event(event, tag="v1")
    assert required_tag(trigger) == "v1"
    assert why_untrusted(trigger, on_branch=False) == "the tag v1 of the repository does not contain its commit"


def test_a_run_by_hand_of_a_tag_may_be_of_any_commit_of_the_repository() -> None:
    assert required_tag(of_event(Event.MANUAL, tag="v1")) == ""


WRITER = FORK.model_copy(update={"pull_request": FORK.pull_request.model_copy(update={"author_may_write": True})})  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("trigger", "on_branch", "policy", "approved", "expected"),
    [
        (push(), True, "never", False, "run"),
        (push(), False, "approve", False, "hold"),
        (push(), False, "approve", True, "run"),
        (push(), False, "run", False, "run"),
        (push(), False, "never", True, "refuse"),
        (FORK, True, "approve", False, "hold"),
        (FORK, True, "approve", True, "run"),
        (FORK, True, "run", False, "run"),
        (FORK, True, "never", True, "refuse"),
        (WRITER, True, "approve", False, "run"),
        (WRITER, True, "never", False, "refuse"),
    ],
)
def test_untrusted_runs_wait_for_approval_unless_the_repository_says_otherwise(
    trigger: Trigger, policy: str, expected: str, *, on_branch: bool, approved: bool
) -> None:
    found = admission(trigger, UntrustedRuns(policy), on_branch=on_branch, approved=approved)
    assert found is Admission(expected)


def test_when_a_run_is_queued_only_a_fork_is_known_to_be_untrusted() -> None:
    assert admission_when_queued(FORK, UntrustedRuns.APPROVE) is Admission.HOLD
    assert admission_when_queued(FORK, UntrustedRuns.NEVER) is Admission.REFUSE
    assert admission_when_queued(push(), UntrustedRuns.NEVER) is Admission.RUN


@pytest.mark.parametrize(("trigger", "on_branch"), [(push(), True), (push(), False), (FORK, True)])
def test_a_job_gets_credentials_only_where_its_trigger_may_use_them(
    sqlite_database: Engine, trigger: Trigger, *, on_branch: bool
) -> None:
    given = on_branch and trigger is not FORK
    vault = parse_keys([TEST_KEY], "the test")
    with transaction(sqlite_database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
        sealed = vault.seal(secret_place(repo_id, "token"), "hunter2")
        store.put_secret(session, repo_id, "token", sealed, list(Event))
        password = vault.seal(registry_place(None, "registry.test"), "swordfish")
        store.put_registry(session, None, "registry.test", "robot", password)
    allowed = permissions(trigger, Trust(), on_branch=on_branch)
    secrets = job_secrets(sqlite_database, vault, repo_id, trigger.event, allowed).values
    logins = registry_logins_for(sqlite_database, vault, repo_id, allowed)
    assert secrets == ({"token": "hunter2"} if given else {})
    assert logins == ({"registry.test": Login("robot", "swordfish")} if given else {})


@pytest.mark.parametrize(
    ("values", "said"), [(["x" * 65_536], ""), (["x" * 65_537], "65,537 bytes"), (["x"] * 101, "101")]
)
def test_stored_secrets_that_are_more_than_the_limits_do_not_start_a_job(
    sqlite_database: Engine, values: list[str], said: str
) -> None:
    """They were stored before there were limits. Their sizes are known without a key."""
    vault = parse_keys([TEST_KEY], "the test")
    with transaction(sqlite_database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id
        for number, value in enumerate(values):
            name = f"key{number}"
            store.put_secret(session, repo_id, name, vault.seal(secret_place(repo_id, name), value), [Event.PUSH])
    allowed = permissions(push(), Trust(), on_branch=True)
    assert job_secrets(sqlite_database, vault, repo_id, Event.TAG, allowed).values == {}
    if not said:
        assert len(job_secrets(sqlite_database, vault, repo_id, Event.PUSH, allowed).values) == len(values)
        return
    with pytest.raises(StepError, match=said) as caught:
        job_secrets(sqlite_database, vault, repo_id, Event.PUSH, allowed)
    assert caught.value.outcome.reason is Reason.SECRETS_TOO_LARGE


@pytest.mark.parametrize("on_branch", [True, False])
def test_a_sent_tree_may_use_nothing_even_in_a_trusted_repository(*, on_branch: bool) -> None:
    allowed = permissions(SENT, TRUST, on_branch=on_branch)
    assert allowed == nothing("it was sent from a working tree, and is no commit of the repository", "refs/sent/1")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (UntrustedRuns.APPROVE, Admission.RUN),
        (UntrustedRuns.RUN, Admission.RUN),
        (UntrustedRuns.NEVER, Admission.REFUSE),
    ],
)
def test_a_sent_tree_needs_no_approval(policy: UntrustedRuns, expected: Admission) -> None:
    assert admission(SENT, policy, on_branch=False, approved=False) is expected
    assert admission_when_queued(SENT, policy) is expected
