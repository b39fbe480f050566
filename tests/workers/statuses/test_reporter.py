"""What forges are told of runs: the newest state, once, of the newest run."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pipelines.problem import Problem
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from tests.support.builders import SHA, job_plan, plan, pull_request
from tests.support.reporting import World, a_world
from workers import store
from workers.db.session import transaction

FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "step 'test' ended with exit code 1")
LATER = "0" * 39 + "1"


@pytest.fixture
def world(database: Engine) -> Iterator[World]:
    with a_world(database) as world:
        yield world


def test_a_run_is_told_when_it_waits_when_it_runs_and_how_it_ended(world: World) -> None:
    queued = world.queue()
    assert world.told() == [("headway/push", "pending")]
    world.claim(queued.job_id)
    assert world.told() == [("headway/push", "pending")]
    world.finish(queued.job_id, FAILED)
    assert world.told() == [("headway/push", "failure")]
    assert world.told() == []
    first, second, last = world.forge.told
    assert (first.description, second.description) == ("Waiting for a worker", "Running")
    assert last.description == "step 'test' ended with exit code 1"
    assert {(told.sha, told.url) for told in world.forge.told} == {(SHA, "https://ci.test/repos/acme/roof/runs/1")}


def test_only_the_newest_state_is_told(world: World) -> None:
    world.run_through()
    assert world.told() == [("headway/push", "success")]
    assert world.told() == []


def test_without_a_token_nobody_is_told(world: World) -> None:
    with transaction(world.database) as session:
        store.set_forge_token(session, world.repo_id, "", "")
    queued = world.run_through()
    assert world.told() == []
    assert world.status(queued.run_id) is None


def test_a_token_that_was_taken_away_meanwhile_ends_the_telling(world: World) -> None:
    queued = world.run_through()
    with transaction(world.database) as session:
        store.set_forge_token(session, world.repo_id, "", "")
    assert world.told() == []
    assert world.trouble(queued.run_id) == ""


def test_several_workflows_are_told_each_and_all_together(world: World) -> None:
    queued = world.queue()
    first, second = world.plan(queued, "lint", "test")
    assert dict(world.told()) == {
        "headway/push": "pending",
        "headway/push/lint": "pending",
        "headway/push/test": "pending",
    }
    world.finish(first.id)
    assert world.told() == [("headway/push/lint", "success")]
    world.finish(second.id, FAILED, world.claim(second.id))
    world.told()
    assert dict(world.forge.words()) == {
        "headway/push": "failure",
        "headway/push/lint": "success",
        "headway/push/test": "failure",
    }
    assert world.told() == []


def test_a_workflow_that_did_not_run_for_another_has_not_passed(world: World) -> None:
    queued = world.queue()
    attempt = world.claim(queued.job_id)
    with transaction(world.database) as session:
        store.plan_run(session, queued.job_id, attempt, plan(job_plan("test"), job_plan("deploy", 2, needs=("test",))))
    world.finish(queued.job_id, FAILED)
    words = dict(world.told())
    assert (words["headway/push/test"], words["headway/push/deploy"]) == ("failure", "error")


def test_the_cells_of_a_matrix_are_one_workflow(world: World) -> None:
    queued = world.queue()
    first, second = world.plan(queued, "test", "test")
    world.finish(first.id)
    world.finish(second.id, FAILED, world.claim(second.id))
    assert world.told() == [("headway/push", "failure")]


def test_a_push_and_a_pull_request_of_one_commit_have_a_status_each(world: World) -> None:
    world.queue()
    world.queue(pull_request(from_fork=False))
    assert world.told() == [("headway/push", "pending"), ("headway/pull_request", "pending")]


def test_an_older_run_of_the_same_commit_does_not_speak_over_a_newer_one(world: World) -> None:
    old = world.queue()
    assert world.told() == [("headway/push", "pending")]
    world.run_through()
    world.claim(old.job_id)
    world.finish(old.job_id, FAILED)
    assert world.told() == [("headway/push", "success")]
    assert world.told() == []
    assert world.forge.told[-1].url.endswith("/runs/2")


def test_a_commit_that_git_has_yet_to_name_is_told_of_when_it_is_known(world: World) -> None:
    trigger = Trigger(event=Event.MANUAL, sha="", ref="refs/heads/main", branch="main")
    queued = world.queue(trigger)
    attempt = world.claim(queued.job_id)
    assert world.told() == []
    with transaction(world.database) as session:
        store.set_trigger(session, queued.job_id, attempt, trigger.model_copy(update={"sha": LATER}))
    assert world.told() == [("headway/manual", "pending")]
    assert world.forge.told[0].sha == LATER


def test_a_run_whose_commit_was_never_found_is_told_to_nobody(world: World) -> None:
    queued = world.queue(Trigger(event=Event.MANUAL, sha="", ref="refs/heads/main", branch="main"))
    world.claim(queued.job_id)
    world.finish(queued.job_id, Outcome(State.BROKEN, Reason.COMMIT_MISSING, "gone"))
    assert world.told() == []
    status = world.status(queued.run_id)
    assert status is not None
    assert status.next_try_ms is None


def test_a_wrong_pipeline_is_told_with_its_first_error_in_full(world: World) -> None:
    queued = world.queue()
    attempt = world.claim(queued.job_id)
    wrong = Problem(".headway.yml", 3, 5, "unknown key 'imag'", "did you mean 'image'?")
    with transaction(world.database) as session:
        store.fail_planning(session, queued.job_id, attempt, FAILED, [wrong])
    assert world.told() == [("headway/push", "failure")]
    assert world.forge.told[0].description == str(wrong)
