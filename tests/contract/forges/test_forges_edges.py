"""The limits of what a forge may send, and of what it is sent: at the limit, and one past it."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipelines.state import State
from pipelines.trigger import Trigger
from tests.support.forge import RULES, TOKEN, forge_server
from tests.support.paths import FORGE_SAMPLES
from workers.forges import FORGES, BadPayloadError, NothingToDo
from workers.forges.http import make_client, post
from workers.forges.status_request import Answer, CommitStatus, Home, refusal, short

RENEW = "`headway repo token acme/roof`"
SHA = "8f3e1c2ab4d5968770e1f2a3b4c5d6e7f8091a2b"
BODY = b'{"ref": "refs/heads/main"}'
# What each recorded delivery starts: every field that is not empty.
TRIGGERS = json.loads((FORGE_SAMPLES / "triggers.json").read_text())


def key(forge: str, headers: Mapping[str, str], body: bytes = BODY) -> str:
    return FORGES[forge].delivery_key(headers, body)


def sent(forge: str, name: str = "push", **fields: Any) -> Trigger:
    """The trigger of a recorded delivery in which the fields at the top were changed."""
    recorded = json.loads((FORGE_SAMPLES / forge / f"{name}.json").read_text())
    headers = {name.lower(): value for name, value in recorded["headers"].items()}
    parsed = FORGES[forge].parse(headers, json.dumps({**recorded["body"], **fields}).encode())
    assert isinstance(parsed, tuple)
    (trigger,) = parsed
    return trigger


@pytest.mark.parametrize(
    "sample", sorted(FORGE_SAMPLES.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_recorded_delivery_starts_what_is_written_down(sample: Path) -> None:
    recorded = json.loads(sample.read_text())
    headers = {header.lower(): value for header, value in recorded["headers"].items()}
    parsed = FORGES[sample.parent.name].parse(headers, json.dumps(recorded["body"]).encode())
    triggers = [] if isinstance(parsed, NothingToDo) else list(parsed)
    written = TRIGGERS.get(f"{sample.parent.name}/{sample.stem}", [])
    assert [trigger.model_dump(mode="json", exclude_defaults=True) for trigger in triggers] == written


@pytest.mark.parametrize("forge", sorted(set(FORGES) - {"gitlab"}))
def test_no_header_makes_another_delivery_of_a_signed_body(forge: str) -> None:
    """The signature is of the body alone: a delivery that was overheard could be sent again under a new id."""
    for recorded in sorted((FORGE_SAMPLES / forge).glob("*.json")):
        headers = {name.lower(): value for name, value in json.loads(recorded.read_text())["headers"].items()}
        changed = {name: f"{value}0" for name, value in headers.items()}
        assert key(forge, headers) == key(forge, changed) == key(forge, {})
        assert key(forge, headers) != key(forge, headers, BODY + b" ")


@pytest.mark.parametrize("forge", FORGES)
def test_without_an_id_deliveries_are_told_apart_by_their_bodies(forge: str) -> None:
    assert key(forge, {}) == key(forge, {})
    assert key(forge, {}) != key(forge, {}, BODY + b" ")


def test_gitlab_names_a_delivery_by_its_idempotency_key_alone() -> None:
    one = {"idempotency-key": "f5e5f430-f57b-4e6e-9fac-d9128cd7232f", "x-gitlab-event-uuid": "1"}
    assert key("gitlab", one) == key("gitlab", {**one, "x-gitlab-event-uuid": "2"}, BODY + b" ")
    assert key("gitlab", one) == one["idempotency-key"]


def test_an_older_gitlab_tells_deliveries_apart_by_the_event_and_the_body() -> None:
    """Pushing the same commit to a branch again is a new event with the very same body."""
    first = {"x-gitlab-event-uuid": "13792a34-cac6-4fda-95a8-c58e00a3954e"}
    again = {"x-gitlab-event-uuid": "9c0b8a3a-5d55-4b6e-8c3b-1c1b1e0f3a77"}
    assert key("gitlab", first) == key("gitlab", first)
    assert key("gitlab", first) != key("gitlab", again)
    assert key("gitlab", first) != key("gitlab", first, BODY + b" ")


@pytest.mark.parametrize("forge", ["github", "gitea", "gitlab", "generic"])
def test_a_ref_has_at_most_1024_characters(forge: str) -> None:
    ref = "refs/heads/".ljust(1024, "b")
    assert sent(forge, ref=ref).branch == ref.removeprefix("refs/heads/")
    with pytest.raises(BadPayloadError, match="must have 1 to 1024 characters") as refused:
        sent(forge, ref=ref + "b")
    assert refused.value.field == "ref"


@pytest.mark.parametrize("forge", ["github", "gitea"])
@pytest.mark.parametrize(("length", "kept"), [(16_384, 16_384), (16_385, 16_384)])
def test_of_a_message_16384_characters_are_kept(forge: str, length: int, kept: int) -> None:
    recorded = json.loads((FORGE_SAMPLES / forge / "push.json").read_text())["body"]["head_commit"]
    assert sent(forge, head_commit={**recorded, "message": "m" * length}).message == "m" * kept


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_a_commit_id_has_40_or_64_digits(forge: str) -> None:
    for length in (40, 64):
        assert sent(forge, after="a" * length).sha == "a" * length
    for length in (39, 41, 63, 65):
        with pytest.raises(BadPayloadError, match="40 or 64 hex digits"):
            sent(forge, after="a" * length)


def told(forge: str, sentence: str, context: str = "headway/push") -> dict[str, Any]:
    status = CommitStatus(SHA, State.FAILED, context, sentence, "https://ci.test/repos/acme/roof/runs/7", "main")
    request = FORGES[forge].report(Home("https://git.test/acme/roof.git"), TOKEN, status)
    assert request is not None
    return dict(request.body)


@pytest.mark.parametrize("forge", sorted(RULES))
def test_a_sentence_that_just_fits_is_sent_whole(forge: str) -> None:
    longest = RULES[forge].description_chars_max
    assert told(forge, "x" * longest)["description"] == "x" * longest
    assert told(forge, "x" * (longest + 1))["description"] == "x" * (longest - 1) + "…"


def test_a_text_is_cut_where_a_word_ends() -> None:
    assert short("one two three", 13) == "one two three"
    assert short("one two three", 12) == "one two…"
    assert short("one two three", 8) == "one two…"
    assert short("one two three", 7) == "one…"
    assert short("one two,: three", 12) == "one two…"
    assert short("one\n  two\tthree", 13) == "one two three"


def test_a_refusal_shows_at_most_160_characters_of_what_the_forge_said() -> None:
    assert f"422 {'x' * 160};" in refusal(Answer(422, "x" * 160), "acme/roof", RENEW)
    assert f"422 {'x' * 159}…;" in refusal(Answer(422, "x" * 161), "acme/roof", RENEW)


def answered(status: int, said: str = "", retry_after: str = "") -> Answer:
    with forge_server("github") as server, make_client() as client:
        server.fail(status, said, headers={"retry-after": retry_after} if retry_after else {})
        request = FORGES["github"].report(
            Home(f"{server.url}/acme/roof.git"), TOKEN, CommitStatus(SHA, State.PASSED, "c", "s", "u", "")
        )
        assert request is not None
        return post(client, request)


def test_an_answer_is_read_up_to_64_kibibytes() -> None:
    room = 65_536 - len(json.dumps({"message": ""}))
    assert answered(422, "x" * room).said == "x" * room
    assert answered(422, "x" * (room + 1)).said == ""


@pytest.mark.parametrize("status", [403, 429, 503])
@pytest.mark.parametrize(("asked", "pause_s"), [("0", 0), ("1", 1), ("3600", 3600), ("3601", 3600), ("9" * 5000, 3600)])
def test_a_forge_that_asks_for_a_pause_gets_an_hour_at_most(status: int, asked: str, pause_s: int) -> None:
    assert answered(status, retry_after=asked).pause_s == pause_s


@pytest.mark.parametrize("asked", ["²", "1.5", "-1", "soon", "Thu, 01 Jan 1970 00:00:00 -0000"])
def test_a_pause_that_cannot_be_read_is_none(asked: str) -> None:
    assert answered(429, retry_after=asked).pause_s == 0


def test_only_a_forge_that_is_asked_too_much_may_ask_for_a_pause() -> None:
    assert [answered(status, retry_after="60").pause_s for status in (400, 404, 422, 500)] == [0, 0, 0, 0]


def changed(forge: str, name: str, change: Callable[[Any], object]) -> Trigger | NothingToDo:
    """What a recorded delivery starts once ``change`` has altered its body."""
    recorded = json.loads((FORGE_SAMPLES / forge / f"{name}.json").read_text())
    change(recorded["body"])
    headers = {header.lower(): value for header, value in recorded["headers"].items()}
    parsed = FORGES[forge].parse(headers, json.dumps(recorded["body"]).encode())
    return parsed if isinstance(parsed, NothingToDo) else parsed[0]


@pytest.mark.parametrize("forge", ["github", "gitea", "bitbucket", "generic"])
def test_a_draft_is_known_as_one(forge: str) -> None:
    def draft(body: Any) -> None:
        body["pullrequest" if forge == "bitbucket" else "pull_request"]["draft"] = True

    trigger = changed(forge, "pr_opened", draft)
    assert isinstance(trigger, Trigger)
    assert trigger.pull_request is not None
    assert trigger.pull_request.draft


def test_an_older_gitea_names_the_newest_commit_in_its_list_alone() -> None:
    def as_before(body: Any) -> None:
        newest = body.pop("head_commit")
        body["commits"] = [{**newest, "id": "f" * 40, "message": "another"}, newest]

    trigger = changed("gitea", "push", as_before)
    assert isinstance(trigger, Trigger)
    assert trigger.message.startswith("Start the harbour lights")

    def without(body: Any) -> None:
        body["head_commit"] = body["commits"] = None

    trigger = changed("gitea", "push", without)
    assert isinstance(trigger, Trigger)
    assert (trigger.sha, trigger.message) == (SHA, "")


def test_who_pushed_to_gitea_is_the_sender_or_else_the_pusher() -> None:
    assert sent("gitea", sender={"login": "ada"}, pusher={"login": "bob"}).sender == "ada"
    assert sent("gitea", sender={"login": ""}, pusher={"login": "bob"}).sender == "bob"


def test_who_has_no_nickname_at_bitbucket_has_a_name() -> None:
    trigger = changed("bitbucket", "push", lambda body: body["actor"].pop("nickname"))
    assert isinstance(trigger, Trigger)
    assert trigger.sender == "Mara Lind"


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_pull_request_at_bitbucket_whose_repository_is_gone_is_one_of_a_fork(side: str) -> None:
    outcome = changed("bitbucket", "pr_opened", lambda body: body["pullrequest"][side].update(repository=None))
    assert isinstance(outcome, NothingToDo)
    assert outcome.reason.startswith("Pull request 17 comes from a fork")


def test_a_pull_request_at_bitbucket_whose_branch_is_gone_starts_nothing() -> None:
    outcome = changed("bitbucket", "pr_opened", lambda body: body["pullrequest"]["source"].update(commit=None))
    assert outcome == NothingToDo("The source branch of pull request 17 is gone.")


def test_a_push_to_bitbucket_that_changed_nothing_starts_nothing() -> None:
    assert changed("bitbucket", "push", lambda body: body["push"].update(changes=[])) == NothingToDo(
        "The push changed no branch and no tag."
    )
    empty = [{"new": None, "old": None}]
    assert changed("bitbucket", "push", lambda body: body["push"].update(changes=empty)) == NothingToDo(
        "The push changed nothing."
    )


@pytest.mark.parametrize("name", ["push", "pr_opened", "deployment", "release"])
def test_a_plain_repositorys_delivery_is_passed_on_with_its_words(name: str) -> None:
    said = {"message": "Mend", "author": "Ada", "author_email": "ada@git.test", "url": "https://git.test/1"}
    trigger = changed("generic", name, lambda body: body.update(said, timestamp=7))
    assert isinstance(trigger, Trigger)
    assert {field: getattr(trigger, field) for field in said} == said
    assert trigger.timestamp_s == 7


@pytest.mark.parametrize(("length", "key"), [(64, b"k" * 64), (65, sha256(b"k" * 65).digest().ljust(64, b"\0"))])
def test_the_hook_of_a_plain_repository_signs_with_a_secret_of_any_length(length: int, key: bytes) -> None:
    """HMAC takes a key of 64 bytes as it is, and of a longer one its hash."""
    text = FORGES["generic"].setup_text("https://ci.test/hooks/acme/roof", "k" * length)
    for mask in (0x36, 0x5C):
        assert "".join(f"\\0{byte ^ mask:03o}" for byte in key) in text


@pytest.mark.parametrize(("forge", "field"), [("gitlab", "ref"), ("bitbucket", "refname")])
def test_a_status_of_no_branch_names_none(forge: str, field: str) -> None:
    for branch in ("main", ""):
        status = CommitStatus(SHA, State.PASSED, "headway/tag", "Passed", "https://ci.test/1", branch)
        request = FORGES[forge].report(Home("https://git.test/acme/roof.git"), TOKEN, status)
        assert request is not None
        assert request.body.get(field, "") == branch
        assert (field in request.body) is bool(branch)
