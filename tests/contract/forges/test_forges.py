"""One contract for every forge: signed, tampered, ping, push, tag, pull request, repeated, hostile."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipelines.trigger import Event, Trigger
from tests.support.paths import FORGE_SAMPLES
from workers.forges import FORGES, BadPayloadError, NothingToDo

SECRET = "correct-horse-battery-staple"
NEW = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
OLD = "1d2c3b4a5f6e7d8c9bae0f1e2d3c4b5a69788796"


def _digest(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# How each forge proves that it knows the secret, written down a second time and independently of our code.
SIGN: Mapping[str, Callable[[str, bytes], dict[str, str]]] = {
    "generic": lambda secret, body: {"x-headway-signature": "sha256=" + _digest(secret, body)},
    "github": lambda secret, body: {"x-hub-signature-256": "sha256=" + _digest(secret, body)},
    "gitea": lambda secret, body: {"x-gitea-signature": _digest(secret, body)},
    "gitlab": lambda secret, _body: {"x-gitlab-token": secret},
    "bitbucket": lambda secret, body: {"x-hub-signature": "sha256=" + _digest(secret, body)},
}
SIGNS_THE_BODY = sorted(set(FORGES) - {"gitlab"})


def sample(forge: str, name: str) -> tuple[dict[str, str], bytes]:
    recorded = json.loads((FORGE_SAMPLES / forge / f"{name}.json").read_text())
    headers = {key.lower(): value for key, value in recorded["headers"].items()}
    return headers, json.dumps(recorded["body"]).encode()


def having(name: str) -> list[str]:
    """The forges that have such a sample. The others do not send such an event."""
    return [forge for forge in FORGES if (FORGE_SAMPLES / forge / f"{name}.json").exists()]


def only(forge: str, name: str) -> Trigger:
    parsed = FORGES[forge].parse(*sample(forge, name))
    assert isinstance(parsed, tuple), parsed
    (trigger,) = parsed
    return trigger


def reason(forge: str, name: str) -> str:
    parsed = FORGES[forge].parse(*sample(forge, name))
    assert isinstance(parsed, NothingToDo)
    return parsed.reason


def changed(forge: str, name: str, change: Callable[[Any], None]) -> tuple[dict[str, str], bytes]:
    headers, body = sample(forge, name)
    payload = json.loads(body)
    change(payload)
    return headers, json.dumps(payload).encode()


def test_every_forge_has_samples_and_a_way_to_sign() -> None:
    assert set(SIGN) == set(FORGES)
    for name in ("push", "tag", "branch_deleted", "tag_deleted", "hostile", "other", "pr_opened", "pr_from_fork"):
        assert having(name) == list(FORGES), name


@pytest.mark.parametrize("forge", FORGES)
def test_a_signed_delivery_is_valid(forge: str) -> None:
    _, body = sample(forge, "push")
    assert FORGES[forge].verify(SIGN[forge](SECRET, body), body, SECRET)


@pytest.mark.parametrize("forge", SIGNS_THE_BODY)
def test_a_changed_byte_makes_a_delivery_invalid(forge: str) -> None:
    _, body = sample(forge, "push")
    assert not FORGES[forge].verify(SIGN[forge](SECRET, body), body + b" ", SECRET)


@pytest.mark.parametrize("forge", FORGES)
def test_another_secret_makes_a_delivery_invalid(forge: str) -> None:
    _, body = sample(forge, "push")
    assert not FORGES[forge].verify(SIGN[forge]("guessed", body), body, SECRET)


@pytest.mark.parametrize("forge", FORGES)
def test_a_delivery_without_a_signature_is_invalid(forge: str) -> None:
    headers, body = sample(forge, "push")
    assert not FORGES[forge].verify(headers, body, SECRET)


@pytest.mark.parametrize("forge", FORGES)
def test_with_an_empty_secret_every_delivery_is_invalid(forge: str) -> None:
    _, body = sample(forge, "push")
    assert not FORGES[forge].verify(SIGN[forge]("", body), body, "")


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("given", ["sha256=", "sha1=" + "0" * 40, "\u2603", "sha256=\udcff", "é" * 64])
def test_a_malformed_signature_is_invalid_and_no_error(forge: str, given: str) -> None:
    _, body = sample(forge, "push")
    headers = dict.fromkeys(SIGN[forge](SECRET, body), given)
    assert not FORGES[forge].verify(headers, body, SECRET)


@pytest.mark.parametrize("forge", having("ping"))
def test_a_ping_is_nothing_to_do_and_says_that_it_works(forge: str) -> None:
    assert "works" in reason(forge, "ping")


@pytest.mark.parametrize("forge", FORGES)
def test_a_push_is_a_trigger(forge: str) -> None:
    push = only(forge, "push")
    assert (push.event, push.ref, push.branch, push.tag) == (Event.PUSH, "refs/heads/main", "main", "")
    assert (push.sha, push.previous_sha) == (NEW, OLD)
    assert push.sender == "mara"
    assert push.pull_request is None


@pytest.mark.parametrize("forge", sorted(set(FORGES) - {"generic"}))
def test_a_push_carries_message_author_and_time(forge: str) -> None:
    push = only(forge, "push")
    assert push.message == "Start the harbour lights before dusk\n\nThey take four minutes to warm up.\n"
    assert push.author in {"mara", "Mara Lind"}
    assert push.timestamp_s == 1_793_358_142
    assert push.url.startswith("https://")


@pytest.mark.parametrize("forge", FORGES)
def test_a_tag_is_a_trigger_for_the_commit_under_it(forge: str) -> None:
    tag = only(forge, "tag")
    assert (tag.event, tag.ref, tag.branch, tag.tag) == (Event.TAG, "refs/tags/v1.4.0", "", "v1.4.0")
    assert tag.sha == NEW
    assert tag.previous_sha == ""


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize(("name", "words"), [("branch_deleted", "branch old-lights"), ("tag_deleted", "tag v0.9.0")])
def test_a_deletion_is_nothing_to_do(forge: str, name: str, words: str) -> None:
    assert reason(forge, name) == f"The {words} was deleted; there is nothing to build."


@pytest.mark.parametrize("forge", FORGES)
def test_an_event_without_pipelines_is_nothing_to_do(forge: str) -> None:
    assert "Headway acts on pushes, tags, releases, deployments and pull requests." in reason(forge, "other")


@pytest.mark.parametrize("forge", having("pr_other"))
def test_a_review_of_a_pull_request_is_nothing_to_do(forge: str) -> None:
    assert "Headway acts on" in reason(forge, "pr_other")


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pr_opened", Event.PULL_REQUEST),
        ("pr_updated", Event.PULL_REQUEST),
        ("pr_reopened", Event.PULL_REQUEST),
        ("pr_closed", Event.PULL_REQUEST_CLOSED),
        ("pr_labeled", Event.PULL_REQUEST_METADATA),
    ],
)
def test_a_pull_request_is_a_trigger(name: str, event: Event) -> None:
    for forge in having(name):
        trigger = only(forge, name)
        assert trigger.event is event, forge
        assert NEW.startswith(trigger.sha)
        assert trigger.branch == "main"
        assert trigger.pull_request is not None
        assert trigger.pull_request.number == 17
        assert trigger.pull_request.title == "Warm the lights up early"
        assert (trigger.pull_request.source_branch, trigger.pull_request.target_branch) == (
            "feature/fast-start",
            "main",
        )
        assert not trigger.pull_request.from_fork


@pytest.mark.parametrize("forge", sorted(set(FORGES) - {"bitbucket"}))
def test_a_pull_request_has_its_own_ref_and_its_labels(forge: str) -> None:
    trigger = only(forge, "pr_labeled")
    assert trigger.ref in {"refs/pull/17/head", "refs/merge-requests/17/head"}
    assert trigger.pull_request is not None
    assert trigger.pull_request.labels == ("harbour lights",)


@pytest.mark.parametrize("forge", sorted(set(FORGES) - {"bitbucket"}))
def test_a_pull_request_from_a_fork_is_known_as_one(forge: str) -> None:
    trigger = only(forge, "pr_from_fork")
    assert trigger.pull_request is not None
    assert trigger.pull_request.from_fork


@pytest.mark.parametrize("forge", having("pr_labeled"))
def test_a_changed_label_is_the_reason_of_the_event_and_an_update_has_none(forge: str) -> None:
    assert only(forge, "pr_labeled").event_reason == "label_updated"
    assert only(forge, "pr_updated").event_reason == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"milestone_id": {"previous": None, "current": 7}}, "milestoned"),
        ({"milestone_id": {"previous": 7, "current": None}}, "demilestoned"),
        ({"assignees": {"previous": [], "current": [{"username": "mara"}]}}, "assigned"),
        ({"assignees": {"previous": [{"username": "mara"}], "current": []}}, "unassigned"),
        ({"title": {"previous": "a", "current": "b"}}, "edited"),
        ({}, "edited"),
    ],
)
def test_gitlab_names_what_changed_and_the_reason_is_the_word_of_the_others(changes: Any, reason: str) -> None:
    def put(payload: Any) -> None:
        payload["changes"] = changes

    parsed = FORGES["gitlab"].parse(*changed("gitlab", "pr_labeled", put))
    assert isinstance(parsed, tuple)
    assert parsed[0].event_reason == reason


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_pull_request_names_its_target_commit(forge: str) -> None:
    pull = only(forge, "pr_opened").pull_request
    assert pull is not None
    assert pull.target_sha == OLD


@pytest.mark.parametrize("forge", having("release"))
def test_a_release_is_a_trigger_for_its_tag(forge: str) -> None:
    release = only(forge, "release")
    assert (release.event, release.ref, release.tag) == (Event.RELEASE, "refs/tags/v1.4.0", "v1.4.0")
    assert release.sha in {"", NEW}
    assert release.release_title == "Lights before dusk"
    assert not release.prerelease
    assert release.url.startswith("https://")


@pytest.mark.parametrize("forge", having("prerelease"))
def test_a_pre_release_is_known_as_one_and_without_a_title_is_called_as_its_tag(forge: str) -> None:
    release = only(forge, "prerelease")
    assert release.prerelease
    assert release.release_title == release.tag == "v1.5.0-rc.1"
    assert release.branch in {"", "main"}


@pytest.mark.parametrize("forge", having("release_other"))
def test_a_release_starts_one_run_though_the_forge_sends_several_actions(forge: str) -> None:
    assert "Headway acts on" in reason(forge, "release_other")


@pytest.mark.parametrize("forge", having("deployment"))
def test_a_deployment_is_a_trigger_with_its_target(forge: str) -> None:
    deployment = only(forge, "deployment")
    assert (deployment.event, deployment.sha) == (Event.DEPLOYMENT, NEW)
    assert (deployment.ref, deployment.branch) == ("refs/heads/main", "main")
    assert (deployment.deploy_target, deployment.deploy_task, deployment.sender) == ("production", "deploy", "mara")


@pytest.mark.parametrize(
    ("named", "ref", "branch"),
    [
        (NEW, "refs/heads/main", "main"),
        (NEW[:7], "refs/heads/main", "main"),
        ("topic", "refs/heads/topic", "topic"),
        ("refs/heads/topic", "refs/heads/topic", "topic"),
        ("refs/tags/v1", "refs/tags/v1", ""),
    ],
)
def test_a_deployment_of_a_commit_belongs_to_the_default_branch(named: str, ref: str, branch: str) -> None:
    def put(payload: Any) -> None:
        payload["deployment"]["ref"] = named

    parsed = FORGES["github"].parse(*changed("github", "deployment", put))
    assert isinstance(parsed, tuple)
    assert (parsed[0].ref, parsed[0].branch) == (ref, branch)


def test_a_generic_release_must_be_of_a_tag_and_a_deployment_of_what_is_there() -> None:
    def branch(payload: Any) -> None:
        payload["ref"] = "refs/heads/main"

    def gone(payload: Any) -> None:
        payload["after"] = "0" * 40

    with pytest.raises(BadPayloadError, match="must be a tag"):
        FORGES["generic"].parse(*changed("generic", "release", branch))
    assert isinstance(FORGES["generic"].parse(*changed("generic", "deployment", gone)), NothingToDo)


def test_bitbucket_cannot_offer_a_forks_commits() -> None:
    assert "comes from a fork" in reason("bitbucket", "pr_from_fork")


def test_a_pull_request_whose_fork_is_gone_counts_as_from_a_fork() -> None:
    def forget(payload: Any) -> None:
        payload["pull_request"]["head"]["repo"] = None

    parsed = FORGES["github"].parse(*changed("github", "pr_opened", forget))
    assert isinstance(parsed, tuple)
    assert parsed[0].pull_request is not None
    assert parsed[0].pull_request.from_fork


def test_a_generic_pull_request_that_does_not_say_where_from_is_not_trusted() -> None:
    def forget(payload: Any) -> None:
        del payload["pull_request"]["from_fork"]

    parsed = FORGES["generic"].parse(*changed("generic", "pr_opened", forget))
    assert isinstance(parsed, tuple)
    assert parsed[0].pull_request is not None
    assert parsed[0].pull_request.from_fork


def test_a_bitbucket_delivery_with_a_branch_and_a_tag_is_two_triggers() -> None:
    parsed = FORGES["bitbucket"].parse(*sample("bitbucket", "branch_and_tag"))
    assert isinstance(parsed, tuple)
    assert [trigger.ref for trigger in parsed] == ["refs/heads/main", "refs/tags/v1.4.0"]


@pytest.mark.parametrize("forge", FORGES)
def test_the_same_delivery_has_the_same_key_and_no_other_has_it(forge: str) -> None:
    key = FORGES[forge].delivery_key
    assert key(*sample(forge, "push")) == key(*sample(forge, "push"))
    names = [path.stem for path in (FORGE_SAMPLES / forge).glob("*.json")]
    # Of a signed delivery the body counts alone, and some samples differ only in the event that a header names.
    others = {body if forge != "gitlab" else name for name in names for _, body in [sample(forge, name)]}
    assert len({key(*sample(forge, name)) for name in names}) == len(others)


@pytest.mark.parametrize("forge", FORGES)
def test_without_an_id_the_key_is_made_from_the_body(forge: str) -> None:
    key = FORGES[forge].delivery_key
    assert key({}, b"{1}") == key({}, b"{1}")
    assert key({}, b"{1}") != key({}, b"{2}")


def test_the_key_of_an_older_gitlab_is_made_from_event_and_body() -> None:
    key = FORGES["gitlab"].delivery_key
    event, other = {"x-gitlab-event-uuid": "1"}, {"x-gitlab-event-uuid": "2"}
    assert key(event, b"{}") == key(event, b"{}")
    assert len({key(event, b"{}"), key(other, b"{}"), key(event, b"{1}"), key({}, b"{}")}) == 4


@pytest.mark.parametrize("forge", FORGES)
def test_hostile_names_stay_text(forge: str) -> None:
    trigger = only(forge, "hostile")
    assert trigger.branch == "$(id)\";<script>alert('1')</script>`x`"
    assert trigger.message.startswith("Fix \"quotes\" and 'ticks'\nsecond line; $(touch owned)")
    assert trigger.author == '<img src=x onerror=alert(1)> "O\'Neil"'
    assert Trigger.model_validate_json(trigger.model_dump_json()) == trigger


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"payload=%7B%7D", b'{"a":' * 10_000])
def test_a_body_that_is_not_json_is_refused_with_what_to_do(forge: str, body: bytes) -> None:
    headers, _ = sample(forge, "push")
    with pytest.raises(BadPayloadError) as refused:
        FORGES[forge].parse(headers, body)
    assert refused.value.field == "body"
    assert "application/json" in refused.value.sentence


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"x"'])
def test_json_of_another_shape_is_refused(forge: str, body: bytes) -> None:
    headers, _ = sample(forge, "push")
    with pytest.raises(BadPayloadError):
        FORGES[forge].parse(headers, body)


@pytest.mark.parametrize(
    ("forge", "field"),
    [
        ("generic", "after"),
        ("github", "after"),
        ("gitea", "ref"),
        ("gitlab", "before"),
        ("bitbucket", "push"),
    ],
)
def test_a_missing_field_is_named(forge: str, field: str) -> None:
    def drop(payload: Any) -> None:
        del payload[field]

    with pytest.raises(BadPayloadError) as refused:
        FORGES[forge].parse(*changed(forge, "push", drop))
    assert refused.value.field == field
    assert field in refused.value.sentence


@pytest.mark.parametrize(
    "ref",
    ["main", "refs/heads/a b", "refs/heads/a\nb", "refs/heads/../x", "refs/heads//x", "refs/heads/x.lock", "--upload"],
)
def test_a_ref_that_git_would_refuse_is_refused(ref: str) -> None:
    def put(payload: Any) -> None:
        payload["ref"] = ref

    with pytest.raises(BadPayloadError) as refused:
        FORGES["github"].parse(*changed("github", "push", put))
    assert refused.value.field == "ref"


@pytest.mark.parametrize("sha", ["HEAD", "8f3e1c2", "--output=x", NEW + "\n", NEW.upper()])
def test_a_commit_id_must_be_complete(sha: str) -> None:
    def put(payload: Any) -> None:
        payload["after"] = sha

    with pytest.raises(BadPayloadError) as refused:
        FORGES["gitlab"].parse(*changed("gitlab", "push", put))
    assert "40 or 64 hex digits" in refused.value.sentence


def test_a_note_ref_is_nothing_to_do() -> None:
    def put(payload: Any) -> None:
        payload["ref"] = "refs/notes/commits"

    parsed = FORGES["generic"].parse(*changed("generic", "push", put))
    assert isinstance(parsed, NothingToDo)
    assert "refs/notes/commits is neither" in parsed.reason


def test_a_long_message_is_cut_and_nul_is_replaced() -> None:
    def put(payload: Any) -> None:
        payload["message"] = "\0" + "é" * 100_000

    parsed = FORGES["generic"].parse(*changed("generic", "push", put))
    assert isinstance(parsed, tuple)
    assert "\0" not in parsed[0].message
    assert len(parsed[0].message.encode()) < 128 * 1024


@pytest.mark.parametrize("forge", FORGES)
def test_the_setup_text_says_where_and_with_which_secret(forge: str) -> None:
    text = FORGES[forge].setup_text("https://ci.example.org/hooks/acme/harbour", SECRET)
    assert "https://ci.example.org/hooks/acme/harbour" in text
    assert SECRET in text
