"""Sending a working tree: who may, what is refused before and after it has come, and how its run is marked."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from pipelines.trigger import SENT_TREE_REFS, Event, SentTree
from tests.web.conftest import REPO, SHA, Site
from web.security.long_requests import TREES
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.models import ArtifactBlob, Run, Status
from workers.db.session import reading, transaction
from workers.store.runs.refs import recent_refs
from workers.store.sent_trees import TREES_OF_A_REPOSITORY_MAX, sent_tree
from workers.triggers.sent_trees import SentTreeRun, trigger_for_tree

URL = f"/api/repos/{REPO}/runs/sent"
PACK = b"PACK" + bytes(28)
BASE = "1" * 40


@pytest.fixture(autouse=True)
def _repo(site: Site) -> None:
    site.add_repo()


def blobs(site: Site) -> int:
    with reading(site.engine) as session:
        return session.query(ArtifactBlob).count()


def reports_statuses(site: Site) -> None:
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        repo.forge_token_sealed = "sealed"


def test_a_tree_becomes_a_run_of_no_branch(site: Site, program: TestClient) -> None:
    answer = program.post(URL, params={"commit": SHA, "base": BASE, "branch": "topic"}, content=PACK)
    assert (answer.status_code, answer.json()["run"]) == (202, 1)
    trigger = site.trigger(1)
    assert trigger.sent_tree == SentTree(base=BASE)
    assert (trigger.event, trigger.branch, trigger.previous_sha) == (Event.PUSH, "topic", BASE)
    assert trigger.ref.startswith(SENT_TREE_REFS)
    assert trigger.message == "Uncommitted tree of ada, on top of 1111111111"
    run = site.run(1)
    assert (run.branch, run.held) == ("", False)
    with reading(site.engine) as session:
        found = sent_tree(session, run.repo_id, run.ref)
        assert found is not None
        assert found.size_bytes == len(PACK)
        assert recent_refs(session, run.repo_id, 10) == []
    assert site.woken == [1]
    shown = program.get(f"/repos/{REPO}/runs/1").text
    assert "Uncommitted tree of ada, on top of 1111111111" in shown
    assert [entry["action"] for entry in program.get("/api/audit").json()][:1] == ["run.send"]


def test_with_inputs_its_event_is_manual(site: Site, program: TestClient) -> None:
    answer = program.post(URL, params={"commit": SHA, "input": ["A=1", "B=x=y"]}, content=PACK)
    assert answer.status_code == 202
    trigger = site.trigger(1)
    assert (trigger.event, trigger.branch, trigger.inputs) == (Event.MANUAL, "main", {"A": "1", "B": "x=y"})
    assert trigger.message == "Uncommitted tree of ada"


def test_no_status_of_it_is_reported(site: Site) -> None:
    reports_statuses(site)
    site.queue()
    site.queue(trigger_for_tree(SentTreeRun(SHA, BASE), "main", "ada"))
    with reading(site.engine) as session:
        assert [each.run_id for each in session.query(Status)] == [1]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"commit": "8f3e1c2"}, "'8f3e1c2' is no whole commit id: `commit` needs all of its hex digits."),
        ({"commit": "0" * 40}, "`commit` needs all of its hex digits."),
        ({"commit": SHA, "base": "main"}, "'main' is no whole commit id: `base` needs all of its hex digits."),
        ({"commit": SHA, "branch": "a..b"}, "'a..b' cannot be a branch"),
        ({"commit": SHA, "input": "A"}, "'A' is no input: write NAME=VALUE."),
        ({}, "commit"),
        ({"commit": SHA, "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(
    site: Site, program: TestClient, asked: dict[str, str], sentence: str
) -> None:
    answer = program.post(URL, params=asked, content=PACK)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
    assert (site.runs(), blobs(site)) == (0, 0)


@pytest.mark.parametrize("body", [b"", b"PACK", PACK[:-1], b"pack" + bytes(28)])
def test_what_is_no_pack_is_refused(site: Site, program: TestClient, body: bytes) -> None:
    answer = program.post(URL, params={"commit": SHA}, content=body)
    assert answer.status_code == 422
    assert answer.json() == {"error": "The body is no pack of git: send what `git pack-objects` writes."}
    assert blobs(site) == 0


def test_a_repository_that_runs_nothing_untrusted_refuses_it(site: Site, program: TestClient) -> None:
    with transaction(site.engine) as session:
        repo = store.repo_by_name(session, REPO)
        assert repo is not None
        store.set_untrusted_runs(session, repo.id, UntrustedRuns.NEVER.value, PipelineFrom.COMMIT.value)
    answer = program.post(URL, params={"commit": SHA}, content=PACK)
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("This repository does not run what is untrusted: it was sent from a")
    assert blobs(site) == 0


def test_too_many_unfinished_runs_are_refused_before_anything_is_stored(site: Site, program: TestClient) -> None:
    for _ in range(TREES_OF_A_REPOSITORY_MAX):
        assert program.post(URL, params={"commit": SHA}, content=PACK).status_code == 202
    answer = program.post(URL, params={"commit": SHA}, content=PACK)
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("100 runs of sent trees have not ended yet")
    assert blobs(site) == TREES_OF_A_REPOSITORY_MAX


def test_it_does_not_count_as_a_run_of_a_commit_with_the_same_id(site: Site) -> None:
    reports_statuses(site)
    site.queue()
    run = site.run(1)
    site.queue(trigger_for_tree(SentTreeRun(run.sha), "main", "ada"))
    with transaction(site.engine) as session:
        for number, on_branch in ((1, True), (2, False)):
            session.query(Run).filter(Run.number == number).one().on_branch = on_branch
    with transaction(site.engine) as session:
        assert store.was_on_branch(session, run.repo_id, run.ref, run.sha)
        pending = store.claim_status(session, run.id, 60_000)
        assert pending is not None
        assert not pending.newer


def test_a_pack_has_a_limit_at_which_it_is_taken(site: Site, program: TestClient) -> None:
    most = site.services.settings.sent_tree_bytes_max
    assert program.post(URL, params={"commit": SHA}, content=PACK.ljust(most, b"x")).status_code == 202
    answer = program.post(URL, params={"commit": SHA}, content=PACK.ljust(most + 1, b"x"))
    assert answer.status_code == 413
    sentence = f"The body is larger than {most:,} bytes, the limit of HEADWAY_SENT_TREE_BYTES_MAX."
    assert answer.json() == {"error": sentence}

    def pieces() -> Iterator[bytes]:
        yield PACK
        yield b"x" * (most - len(PACK) + 1)

    assert program.post(URL, params={"commit": SHA}, content=pieces()).status_code == 413
    assert site.runs() == 1


def test_a_refusal_gives_its_place_back(program: TestClient) -> None:
    for _ in range(TREES.of_user_max + 1):
        assert program.post(URL, params={"commit": SHA}, content=b"").status_code == 422
    assert program.post(URL, params={"commit": SHA}, content=PACK).status_code == 202
