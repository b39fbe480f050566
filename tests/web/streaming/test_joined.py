"""One connection that follows several things: each with its own events, and none of them ends another."""

from collections.abc import Iterator

import httpx2
import pytest
from starlette.testclient import TestClient

from pipelines.state import PASSED
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.support.people import OPERATOR
from tests.web.conftest import REPO, ClaimedRun, Site
from tests.web.streaming.listener import Event, Listener, Received
from web.operations.accounts import roles, tokens_and_sessions
from web.streaming.subjects import SUBJECTS_MAX, Subject, parse_subjects
from workers.db.roles import Role

URL = "/api/events"


@pytest.fixture
def listener(site: Site, live_url: str) -> Iterator[Listener]:
    site.add_repo()
    listener = Listener(live_url, site.token(site.add_user()))
    yield listener
    listener.client.close()


def opened(listener: Listener, *follow: str) -> Iterator[Event]:
    query = str(httpx2.QueryParams([("follow", each) for each in follow]))
    return listener.events(f"{URL}?{query}")


def wrote(begun: ClaimedRun, number: int, data: bytes) -> None:
    with begun.recorder() as record:
        record(StepStarted(number))
        record(StepOutput(number, 0, data, Stream.STDOUT))
        record(StepFinished(number, PASSED))


@pytest.mark.slow
def test_logs_of_several_steps_and_the_front_page_share_a_connection(site: Site, listener: Listener) -> None:
    begun = site.begin()
    first, second = (f"step:{begun.steps[number]}" for number in (1, 2))
    texts = {first: b"one\n" * 50_000, second: b"two\n" * 50_000}
    for number, name in ((1, first), (2, second)):
        wrote(begun, number, texts[name])
    logs = {first: Received(), second: Received(position=8)}
    kinds = set()
    for event in opened(listener, f"{first}@x", f"{second}@x+8", "front@x"):
        name, _, event.kind = event.kind.partition(" ")
        kinds.add((name, event.kind))
        if name in logs:
            logs[name].add(event)
        if all(log.end for log in logs.values()) and ("front", "changed") in kinds:
            break
    assert logs[first].log == texts[first]
    assert logs[second].log == texts[second][8:]


@pytest.mark.slow
def test_what_cannot_be_seen_is_gone_and_the_rest_goes_on(site: Site, live_url: str) -> None:
    site.add_repo()
    begun = site.begin()
    reader = Listener(live_url, site.token(site.add_user("bob", is_admin=False)))
    events = opened(reader, f"run:{begun.queued.run_id}", "run:999", f"step:{begun.steps[1]}", "front@x")
    kinds = {next(events).kind for _ in range(4)}
    assert kinds == {f"run:{begun.queued.run_id} gone", "run:999 gone", f"step:{begun.steps[1]} gone", "front changed"}
    reader.client.close()


@pytest.mark.slow
def test_roles_and_logins_are_checked_again_for_each_subject(site: Site, live_url: str) -> None:
    site.add_repo()
    begun = site.begin()
    user = site.add_user("bob", is_admin=False)
    site.give_role("bob", Role.READ)
    reader = Listener(live_url, site.token(user))
    run, step = f"run:{begun.queued.run_id}", f"step:{begun.steps[1]}"
    events = opened(reader, f"{run}@x", f"{step}@x", "front@x")
    assert {next(events).kind for _ in range(3)} == {f"{run} changed", f"{step} changed", "front changed"}
    roles.remove(site.services, OPERATOR, REPO, "bob")
    assert {next(events).kind for _ in range(3)} == {f"{run} lost", f"{step} restart", "front changed"}
    (token,) = tokens_and_sessions.list_tokens(site.services, OPERATOR, "bob")
    tokens_and_sessions.remove_token(site.services, OPERATOR, "bob", token.id)
    assert [event.kind for event in events] == ["front lost"]
    reader.client.close()


def test_each_form_of_a_subject_is_understood() -> None:
    assert parse_subjects(["front", "run:7@0a1b2c3d", "step:9@+4096", "step:8+1"]) == [
        Subject("front", "front"),
        Subject("run:7", "run", 7, "0a1b2c3d"),
        Subject("step:9", "step", 9, "", 4096),
        Subject("step:8", "step", 8, "", 1),
    ]


@pytest.mark.parametrize(
    "wrong",
    ["", "back", "run", "run:0", "run:x", "front:1", "run:7+1", "step:1+1+1", "step:1@\u0660", "run:1" + "0" * 16],
)
def test_other_forms_are_refused_with_a_sentence(program: TestClient, wrong: str) -> None:
    answer = program.get(URL, params={"follow": wrong})
    assert answer.status_code == 422
    assert "Write front, run:ID or step:ID" in answer.json()["error"]


def test_a_connection_follows_a_limited_number_of_things(program: TestClient) -> None:
    assert len(parse_subjects([f"run:{number}" for number in range(1, SUBJECTS_MAX + 1)])) == SUBJECTS_MAX
    answer = program.get(URL, params={"follow": [f"run:{number}" for number in range(1, SUBJECTS_MAX + 2)]})
    assert (answer.status_code, "50" in answer.json()["error"]) == (422, True)
    twice = program.get(URL, params={"follow": ["run:1", "run:1@abc"]})
    assert (twice.status_code, "twice" in twice.json()["error"]) == (422, True)
