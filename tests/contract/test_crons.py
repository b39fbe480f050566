"""Crons start one run for each time, on each of the two databases."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, update

from pipelines.trigger import Event, Trigger
from workers import store
from workers.back_off import BackOff
from workers.db.models import Cron, Repo
from workers.db.session import reading, transaction
from workers.triggers import crons
from workers.triggers.crons import NewCron, start_due
from workers.triggers.manual import InvalidRequestError

DAY_MS = 86_400_000
NOON_MS = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
MIDNIGHT_MS = NOON_MS + DAY_MS // 2


NIGHTLY = NewCron("nightly", "@daily")


class Clock:
    """A repository on a database, and what its crons started."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        with transaction(database) as session:
            self.repo_id = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git")).id

    def put(self, new: NewCron = NIGHTLY, *, by_admin: bool = False) -> Cron:
        with transaction(self.database) as session:
            return crons.put_cron(session, self.repo_id, new, NOON_MS, by_admin=by_admin)

    def at(self, now_ms: int) -> list[int]:
        """The numbers of the runs that a scheduler starts at this time."""
        return [queued.number for queued in start_due(self.database, now_ms, BackOff())]

    def trigger(self, number: int) -> Trigger:
        with reading(self.database) as session:
            run = store.run_by_number(session, self.repo_id, number)
            assert run is not None
            return store.trigger_of(run)

    def crons(self) -> dict[str, tuple[int | None, int | None]]:
        """When each is due next, and the number of its last run."""
        with reading(self.database) as session:
            return {
                cron.name: (cron.next_ms, last.number if last else None)
                for cron, last in store.crons_of(session, self.repo_id)
            }


@pytest.fixture
def clock(database: Engine) -> Clock:
    return Clock(database)


def test_a_cron_starts_one_run_when_it_is_due_and_not_before(clock: Clock) -> None:
    clock.put()
    assert clock.at(MIDNIGHT_MS - 1) == []
    assert clock.at(MIDNIGHT_MS) == [1]
    assert clock.at(MIDNIGHT_MS) == []
    assert clock.at(MIDNIGHT_MS + DAY_MS) == [2]
    assert clock.crons() == {"nightly": (MIDNIGHT_MS + 2 * DAY_MS, 2)}


def test_its_run_is_of_the_default_branch_whose_commit_a_worker_reads_from_git(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, inputs={"DEPTH": "full"}))
    clock.at(MIDNIGHT_MS)
    trigger = clock.trigger(1)
    assert (trigger.event, trigger.cron, trigger.sha) == (Event.CRON, "nightly", "")
    assert (trigger.ref, trigger.branch) == ("refs/heads/main", "main")
    assert trigger.inputs == {"DEPTH": "full"}


def test_a_cron_may_be_for_another_branch(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, branch="release/2.x"))
    clock.at(MIDNIGHT_MS)
    assert clock.trigger(1).ref == "refs/heads/release/2.x"


def test_missed_times_are_caught_up_with_a_single_run(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, expression="0 * * * *"))
    late = NOON_MS + 7 * DAY_MS + 60_000
    assert clock.at(late) == [1]
    assert clock.at(late) == []
    assert clock.crons()["nightly"][0] == NOON_MS + 7 * DAY_MS + 3_600_000


def test_of_two_schedulers_at_the_same_time_one_starts_the_run(clock: Clock) -> None:
    for number in range(8):
        clock.put(replace(NIGHTLY, name=f"cron {number}"))
    together, started = threading.Barrier(4), list[int]()

    def look() -> None:
        together.wait()
        started.extend(clock.at(MIDNIGHT_MS))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(started) == list(range(1, 9))
    assert {next_ms for next_ms, _ in clock.crons().values()} == {MIDNIGHT_MS + DAY_MS}


def test_a_cron_that_is_switched_off_starts_nothing(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, enabled=False))
    assert clock.at(MIDNIGHT_MS) == []
    assert clock.crons() == {"nightly": (None, None)}


def test_the_crons_of_a_repository_that_is_not_active_wait(clock: Clock) -> None:
    clock.put()
    with transaction(clock.database) as session:
        session.execute(update(Repo).values(active=False))
    assert clock.at(MIDNIGHT_MS) == []


def test_putting_a_cron_again_changes_it_and_keeps_its_last_run(clock: Clock) -> None:
    clock.put()
    clock.at(MIDNIGHT_MS)
    clock.put(replace(NIGHTLY, expression="0 13 * * *", zone="Europe/Berlin"))
    assert clock.crons() == {"nightly": (NOON_MS + DAY_MS, 1)}


def test_starting_a_cron_by_hand_does_not_change_its_next_time(clock: Clock) -> None:
    cron = clock.put()
    with transaction(clock.database) as session:
        repo = session.get_one(Repo, clock.repo_id)
        assert crons.run_cron(session, cron, repo, "ada").number == 1
    assert clock.crons() == {"nightly": (MIDNIGHT_MS, 1)}
    assert clock.trigger(1).sender == "ada"


def test_a_cron_whose_time_zone_is_gone_runs_once_and_is_switched_off_and_others_go_on(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, name="a"))
    clock.put(replace(NIGHTLY, name="b"))
    with transaction(clock.database) as session:
        session.execute(update(Cron).where(Cron.name == "a").values(zone="Mars/Base"))
    assert clock.at(MIDNIGHT_MS) == [1, 2]
    assert clock.crons() == {"a": (None, 1), "b": (MIDNIGHT_MS + DAY_MS, 2)}


def test_a_removed_cron_keeps_its_runs_and_a_removed_repository_loses_its_crons(clock: Clock) -> None:
    clock.put(replace(NIGHTLY, name="a"))
    clock.put(replace(NIGHTLY, name="b"))
    clock.at(MIDNIGHT_MS)
    with transaction(clock.database) as session:
        assert store.drop_cron(session, clock.repo_id, "a")
        assert not store.drop_cron(session, clock.repo_id, "a")
    assert clock.trigger(1).cron == "a"
    with transaction(clock.database) as session:
        store.remove_repo(session, clock.repo_id)
    assert clock.crons() == {}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(NIGHTLY, name="a/b"), "cannot be the name of a cron"),
        (replace(NIGHTLY, name=""), "cannot be the name of a cron"),
        (replace(NIGHTLY, name="x" * 101), "cannot be the name of a cron"),
        (replace(NIGHTLY, branch="a b"), "cannot be a branch"),
        (replace(NIGHTLY, branch="a\n"), "cannot be shown"),
        (replace(NIGHTLY, inputs={"CI_X": "1"}), "Headway's own"),
        (replace(NIGHTLY, expression="often"), "is no cron expression"),
        (replace(NIGHTLY, zone="Moon"), "no time zone"),
    ],
)
def test_an_invalid_cron_is_refused_at_once(clock: Clock, wrong: NewCron, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        clock.put(wrong)
    assert clock.crons() == {}


WITH_INPUTS = replace(NIGHTLY, inputs={"LEVEL": "full"})


@pytest.mark.parametrize(
    ("new", "by_admin"),
    [
        (WITH_INPUTS, True),
        (replace(WITH_INPUTS, expression="@hourly"), True),
        (replace(WITH_INPUTS, enabled=False), True),
        (replace(WITH_INPUTS, inputs={"LEVEL": "smoke"}), False),
        (replace(WITH_INPUTS, inputs={"LEVEL": "full", "MORE": "1"}), False),
        (replace(WITH_INPUTS, inputs={}), False),
        (replace(WITH_INPUTS, branch="topic"), False),
    ],
)
def test_inputs_that_others_change_are_no_longer_an_administrators(
    clock: Clock, new: NewCron, *, by_admin: bool
) -> None:
    clock.put(WITH_INPUTS, by_admin=True)
    cron = clock.put(new)
    assert cron.inputs_by_admin is by_admin
    with transaction(clock.database) as session:
        repo = store.repo_by_name(session, "acme/roof")
        assert repo is not None
        crons.run_cron(session, cron, repo)
    assert clock.trigger(1).inputs_by_admin is by_admin


def test_an_administrator_vouches_for_inputs_by_setting_them(clock: Clock) -> None:
    assert not clock.put(WITH_INPUTS).inputs_by_admin
    assert not clock.put(WITH_INPUTS).inputs_by_admin
    assert clock.put(WITH_INPUTS, by_admin=True).inputs_by_admin
