"""What forges send and strict readers refuse: forms, nulls, a byte order mark, half a character, odd branch names."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from pipelines.trigger import Event, Trigger
from tests.support.paths import FORGE_SAMPLES
from workers.forges import FORGES, BadPayloadError, NothingToDo
from workers.forges.form import json_of

TIP = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def recorded(forge: str, name: str) -> tuple[dict[str, str], Any]:
    sample = json.loads((FORGE_SAMPLES / forge / f"{name}.json").read_text())
    return {header.lower(): value for header, value in sample["headers"].items()}, sample["body"]


def parsed(forge: str, name: str, change: Callable[[Any], object] = lambda _: None) -> Trigger:
    headers, body = recorded(forge, name)
    change(body)
    (trigger,) = FORGES[forge].parse(headers, json.dumps(body).encode())  # type: ignore[misc]  # it must be a trigger
    assert isinstance(trigger, Trigger)
    return trigger


def nulls_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of everything in a payload that could be null."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inner for place in [(*path, key), *nulls_of(part, (*path, key))]]


# What a run cannot do without: where it is, and what decides whether it is trusted.
NEEDED = {
    "ref", "before", "after", "sha", "id", "number", "iid", "head", "base", "pull_request", "head_commit", "repo_id",
    "repository", "deployment", "default_branch", "release", "tag_name", "tag", "source", "destination", "branch",
    "pullrequest", "hash", "uuid", "push", "changes", "new", "target", "type", "object_attributes", "source_branch",
    "target_branch", "target_project_id", "source_project_id", "last_commit", "name", "action", "commit", "repo",
    "checkout_sha", "oldrev", "state", "event",
}  # fmt: skip
NULLABLE = [
    (sample.parent.name, sample.stem, place)
    for sample in sorted(FORGE_SAMPLES.glob("*/*.json"))
    if sample.stem in {"push", "tag", "pr_opened", "release", "deployment"}
    for place in nulls_of(json.loads(sample.read_text())["body"])
    if place[-1] not in NEEDED | {0}
]


@pytest.mark.slow
def test_null_in_any_field_that_is_only_told_is_as_if_it_were_not_there() -> None:
    """One test of a thousand places: each alone takes a fraction of a millisecond."""
    assert len(NULLABLE) > 300
    for forge, name, place in NULLABLE:
        headers, body = recorded(forge, name)
        inner = body
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = None
        outcome = FORGES[forge].parse(headers, json.dumps(body).encode())
        assert not isinstance(outcome, NothingToDo), (forge, name, place)


@pytest.mark.parametrize(
    ("forge", "name", "field"),
    [("github", "push", "sender"), ("github", "push", "head_commit"), ("gitea", "push", "head_commit")],
)
def test_a_push_without_a_head_commit_or_a_sender_is_one_of_its_ref(forge: str, name: str, field: str) -> None:
    trigger = parsed(forge, name, lambda body: body.update({field: None}))
    assert (trigger.sha, trigger.branch) == (TIP, "main")


def test_labels_that_are_null_are_none() -> None:
    assert parsed("github", "pr_opened", lambda body: body["pull_request"].update(labels=None)).pull_request
    some = [None, {"name": "bug"}]
    found = parsed("gitea", "pr_opened", lambda body: body["pull_request"].update(labels=some)).pull_request
    assert found is not None
    assert found.labels == ("bug",)


def test_what_a_run_needs_is_still_named_where_it_is_null() -> None:
    with pytest.raises(BadPayloadError) as refused:
        parsed("github", "push", lambda body: body.update(after=None))
    assert refused.value.field == "after"


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b'"ref"', b'"odd": "\\ud83d cut", "ref"', 1),
        lambda text: text.replace(b"{", b'{"odd": "caf\xe9 \\udc00", ', 1),
        lambda text: text.replace(b"{", b'{"odd": "two\nlines", ', 1),
    ],
    ids=["byte order mark", "half a pair", "not UTF-8", "line break"],
)
def test_what_strict_parsers_refuse_is_read(forge: str, spoil: Callable[[bytes], bytes]) -> None:
    headers, body = recorded(forge, "push")
    outcome = FORGES[forge].parse(headers, spoil(json.dumps(body).encode()))
    assert not isinstance(outcome, NothingToDo)
    assert outcome[0].sha == TIP


def test_half_a_character_of_a_message_is_replaced() -> None:
    headers, body = recorded("github", "push")
    body["head_commit"]["message"] = "x\ud83d \U0001f6e5"
    (trigger,) = FORGES["github"].parse(headers, json.dumps(body).encode())  # type: ignore[misc]  # a trigger
    assert trigger.message == "x\ufffd \U0001f6e5"


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"payload={}", b'{"ref": 1e', b"\xef\xbb\xbf"])
def test_what_is_no_json_is_named_so(body: bytes) -> None:
    with pytest.raises(BadPayloadError, match=r"not JSON.*application/json") as refused:
        FORGES["github"].parse({"x-github-event": "push"}, body)
    assert refused.value.field == "body"


GOOD_NAMES = [
    "a./b",
    "-x",
    "@",
    "a@b",
    "v1.0",
    "a.lock.b",
    "feature/\u00e4",
    "a'b",
    'a"b',
    "a$b",
    "x{y}",
    "#1",
    "HEAD",
    "a,b;c&d|e",
]
BAD_NAMES = [
    "a.", "a/b.", ".a", "a/.b", "a.lock", "a.lock/b", "a..b", "a b", "a~1", "a^",
    "a:b", "a?", "a*", "a[", "a\\b", "a@{b", "/a", "a/", "a//b", "a\x7f", "",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_branch_that_git_allows_is_built(name: str) -> None:
    """As `git check-ref-format refs/heads/NAME` says."""
    assert parsed("github", "push", lambda body: body.update(ref=f"refs/heads/{name}")).branch == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_branch_that_git_refuses_is_refused(name: str) -> None:
    with pytest.raises(BadPayloadError, match="not a name that git allows"):
        parsed("github", "push", lambda body: body.update(ref=f"refs/heads/{name}"))


@pytest.mark.parametrize(("ref", "tag"), [("refs/tags/v1.0", "v1.0"), ("refs/heads/v1.0", "")])
def test_a_deployment_of_a_full_name_is_of_a_tag_or_a_branch(ref: str, tag: str) -> None:
    trigger = parsed("github", "deployment", lambda body: body["deployment"].update(ref=ref))
    assert (trigger.event, trigger.ref, trigger.tag) == (Event.DEPLOYMENT, ref, tag)
    assert trigger.branch == ("" if tag else "v1.0")


ADA, BOB = {"id": 1, "username": "ada"}, {"id": 2, "username": "bob"}


@pytest.mark.parametrize(
    ("previous", "current", "reason"),
    [
        ([], [ADA], "assigned"),
        ([ADA], [], "unassigned"),
        ([ADA], [BOB], "assigned"),
        ([ADA], [ADA, BOB], "assigned"),
        ([ADA, BOB], [ADA], "unassigned"),
        (None, [ADA], "assigned"),
        ([ADA], None, "unassigned"),
    ],
)
def test_gitlab_says_who_is_assigned_now_and_was_before(previous: Any, current: Any, reason: str) -> None:
    def change(body: Any) -> None:
        body["object_attributes"].update(action="update", oldrev=None)
        body["changes"] = {"assignees": {"previous": previous, "current": current}}

    trigger = parsed("gitlab", "pr_opened", change)
    assert (trigger.event, trigger.event_reason) == (Event.PULL_REQUEST_METADATA, reason)


def test_a_merge_request_without_a_commit_starts_nothing() -> None:
    headers, body = recorded("gitlab", "pr_opened")
    body["object_attributes"]["last_commit"] = None
    outcome = FORGES["gitlab"].parse(headers, json.dumps(body).encode())
    assert isinstance(outcome, NothingToDo)


TEXT = json.dumps({"ref": "refs/heads/a+b", "message": "50% = half & more\n\u00e4\u2603 %7B"}, ensure_ascii=False)


@pytest.mark.parametrize("kind", [FORM["content-type"], "Application/X-WWW-Form-URLencoded; charset=utf-8"])
@pytest.mark.parametrize("more", ["", "&other=1", "&payload=second"])
def test_the_json_of_a_form_is_its_field_payload(kind: str, more: str) -> None:
    form = urlencode({"payload": TEXT}) + more
    assert json_of({"content-type": kind}, form.encode()).decode() == TEXT
    assert json_of({"content-type": kind}, f"first=%7B&{form}".encode()).decode() == TEXT


def test_every_byte_comes_through_a_form() -> None:
    text = "".join(map(chr, range(256)))
    assert json_of(FORM, urlencode({"payload": text}).encode()).decode() == text


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, FORM])
def test_what_is_no_form_is_left_as_it_is(headers: dict[str, str]) -> None:
    """curl says that everything is a form."""
    assert json_of(headers, TEXT.encode()) == TEXT.encode()
