"""Forges that refuse, hang or are away: they are told later, or the run says why not, and no run waits for them."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, delete, update
from structlog.testing import capture_logs

from tests.support.forge import TOKEN
from tests.support.reporting import World, a_world
from tests.support.services import eventually, free_port
from workers import store
from workers.db.models import Repo, Status
from workers.db.session import make_engine, now_ms, reading, transaction
from workers.forges.status_request import Answer
from workers.scheduler.scheduler import run_scheduler
from workers.settings import Settings
from workers.statuses.reporter import REFUSALS_MAX, TRIES_MAX, reporting


@pytest.fixture
def world(database: Engine) -> Iterator[World]:
    with a_world(database) as world:
        yield world


def test_a_forge_in_trouble_is_asked_again_after_growing_pauses(world: World) -> None:
    world.forge.fail(500, "out of order", times=2)
    queued = world.run_through()
    waits = []
    for _ in range(2):
        assert world.told() == []
        status = world.status(queued.run_id)
        assert status is not None
        assert status.next_try_ms is not None
        with reading(world.database) as session:
            waits.append(status.next_try_ms - session.scalars(now_ms().select()).one())
        assert world.trouble(queued.run_id) == "the forge did not take the commit status: 500 out of order"
        assert world.told() == [], "not before the pause is over"
        world.pause_is_over()
    assert waits[1] > waits[0] > 0
    assert world.told() == [("headway/push", "success")]
    assert world.trouble(queued.run_id) == ""


def test_a_forge_that_names_a_pause_gets_it(world: World) -> None:
    world.forge.fail(429, "slow down", retry_after="1800")
    queued = world.run_through()
    world.told()
    status = world.status(queued.run_id)
    assert status is not None
    with reading(world.database) as session:
        assert status.next_try_ms is not None
        assert status.next_try_ms - session.scalars(now_ms().select()).one() > 1_700_000


def test_what_was_told_before_the_trouble_is_not_told_again(world: World) -> None:
    queued = world.queue()
    world.plan(queued, "lint", "test")
    world.forge.fail(500, after=2)
    assert world.told() == [("headway/push", "pending"), ("headway/push/lint", "pending")]
    world.pause_is_over()
    assert world.told() == [("headway/push/test", "pending")]


def test_a_refused_token_is_given_up_and_a_new_one_tells_it_after_all(world: World) -> None:
    world.forge.fail(401, "Bad credentials")
    queued = world.run_through()
    assert world.told() == []
    world.pause_is_over()
    assert world.told() == []
    assert world.forge.asked == 1
    assert world.trouble(queued.run_id) == (
        "the forge refused the commit status: 401 Bad credentials; renew the token with `headway repo token acme/roof`"
    )
    with transaction(world.database) as session:
        store.retry_statuses(session, world.repo_id)
    assert world.told() == [("headway/push", "success")]
    assert world.trouble(queued.run_id) == ""


def test_a_forge_that_does_not_know_the_commit_yet_is_asked_a_few_times(world: World) -> None:
    world.forge.fail(404, "Not Found", times=3)
    queued = world.run_through()
    for _ in range(3):
        assert world.told() == []
        assert "the token may not write this repository's statuses" in world.trouble(queued.run_id)
        world.pause_is_over()
    assert world.told() == [("headway/push", "success")]
    world.forge.fail(422, "No commit found for SHA", times=9)
    unknown = world.run_through()
    for _ in range(6):
        assert world.told() == []
        world.pause_is_over()
    assert world.forge.asked == 4 + REFUSALS_MAX
    assert "422 No commit found" in world.trouble(unknown.run_id)


def test_after_too_many_tries_it_is_given_up(world: World) -> None:
    queued = world.run_through()
    with transaction(world.database) as session:
        session.execute(update(Status).values(tries=TRIES_MAX - 1))
    world.forge.fail(500)
    world.told()
    assert "given up after 20 tries, `headway repo token acme/roof` tries again" in world.trouble(queued.run_id)
    world.pause_is_over()
    assert world.told() == []


def test_a_forge_that_is_not_there_is_asked_once_and_others_are_told(world: World) -> None:
    away = [world.add_repo(f"acme/away-{number}", f"http://127.0.0.1:{free_port()}") for number in (1, 2)]
    with transaction(world.database) as session:
        url = session.get_one(Repo, away[0]).clone_url
        session.execute(update(Repo).where(Repo.id == away[1]).values(clone_url=url))
    first, second = (world.queue(repo_id=repo_id) for repo_id in away)
    world.queue()
    assert world.told() == [("headway/push", "pending")]
    assert world.trouble(first.run_id) == world.trouble(second.run_id)
    assert world.trouble(first.run_id).startswith("the forge does not answer at 127.0.0.1:")


def test_a_token_that_cannot_be_opened_or_a_forge_that_cannot_be_found_is_said(world: World) -> None:
    queued = world.run_through()
    with transaction(world.database) as session:
        session.execute(update(Repo).values(clone_url="file:///srv/roof.git"))
    world.told()
    assert "does not tell where its forge is" in world.trouble(queued.run_id)
    with transaction(world.database) as session:
        store.set_forge_token(session, world.repo_id, "v1|other|AAAA|AAAA", "")
        store.retry_statuses(session, world.repo_id)
    world.told()
    assert "damaged" in world.trouble(queued.run_id)


def test_two_reporters_tell_it_once(world: World) -> None:
    queued = world.run_through()
    with transaction(world.database) as session:
        assert store.hold_status(session, queued.run_id, 60_000)
        assert store.hold_status(session, queued.run_id, 60_000) is None
    assert world.told() == []


def test_the_token_is_in_no_log(world: World) -> None:
    world.forge.fail(422, f"cannot use {TOKEN}")
    world.run_through()
    with capture_logs() as logs:
        world.told()
    assert logs
    assert TOKEN not in str(logs)
    assert TOKEN not in repr(Answer(200))


def test_a_run_that_was_deleted_meanwhile_is_no_trouble(world: World) -> None:
    world.queue()
    with transaction(world.database) as session:
        session.execute(delete(Repo))
    assert world.told() == []


def test_nobody_waits_for_a_forge_that_hangs_and_it_is_told_by_whoever_is_next(world: World) -> None:
    queued = world.queue()
    world.forge.hang.set()
    with reporting(world.database, world.reporter.vault, world.reporter.settings) as hanging:
        eventually(lambda: world.forge.asked)
    assert hanging.is_alive()
    status = world.status(queued.run_id)
    assert status is not None
    assert status.told is None
    world.forge.hang.clear()
    hanging.join()
    world.pause_is_over()
    world.reporter.once()
    assert world.forge.words()[-1] == ("headway/push", "pending")


def test_the_schedulers_process_tells(settings: Settings) -> None:
    engine, stop = make_engine(settings.database), threading.Event()
    with a_world(engine, settings) as world:
        world.queue()
        thread = threading.Thread(target=run_scheduler, args=(settings, stop))
        thread.start()
        eventually(lambda: world.forge.told)
        stop.set()
        thread.join()
    engine.dispose()
