"""Lanes, on each of the two databases: which job a worker gets next, and whose turn it is in a concurrency group."""

import random
import string

import pytest
from sqlalchemy import Engine, event, select, update

from pipelines.plan import Concurrency, JobPlan
from pipelines.state import PASSED, State
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.db.models import Job
from workers.db.session import now_ms, reading, transaction
from workers.labels import lane_of, offered_here
from workers.scheduler.missed_turns import GROUPS_AT_ONCE, MissedTurns
from workers.store.jobs import leases
from workers.store.jobs.concurrency_turns import LIMIT_MAX

pytestmark = pytest.mark.slow

HERE = offered_here("")


@pytest.fixture
def repo_id(database: Engine) -> int:
    with transaction(database) as session:
        return store.add_repo(session, store.NewRepo("acme/roof", "file:///roof")).id


def planned(database: Engine, repo_id: int, *jobs: JobPlan) -> list[int]:
    """A run that was planned by a worker that may have none of its jobs; their ids."""
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, push())
        claim = leases.claim(session, queued.job_id, "w", 60)
        assert claim is not None
        store.plan_run(session, queued.job_id, claim.attempt, plan(*jobs), lambda _: False)
        return [job.id for job in store.jobs_of(session, queued.run_id)]


def labelled(number: int = 1, **labels: str) -> JobPlan:
    return job_plan(f"job-{number}", number).model_copy(update={"labels": labels})


def grouped(number: int = 1, group: str = "prod", limit: int = 1) -> JobPlan:
    asked = Concurrency(group=group, limit=limit)
    return job_plan(f"job-{number}", number).model_copy(update={"concurrency": asked})


def next_for(database: Engine, labels: dict[str, str] | None) -> int | None:
    with reading(database) as session:
        return leases.next_ready(session, labels)


def with_lanes(database: Engine) -> list[int]:
    with reading(database) as session:
        return list(session.scalars(select(Job.id).where(Job.lane.is_not(None)).order_by(Job.id)))


def claim(database: Engine, job_id: int) -> leases.Claim | None:
    with transaction(database) as session:
        return leases.claim(session, job_id, "w", 60)


def test_a_worker_gets_the_first_job_of_all_lanes_that_fit(database: Engine, repo_id: int) -> None:
    gpu, ssd, plain, more = planned(
        database, repo_id, labelled(1, gpu="a"), labelled(2, disk="ssd"), labelled(3), labelled(4, gpu="a", disk="ssd")
    )
    assert next_for(database, None) == gpu
    assert next_for(database, HERE) == plain
    assert next_for(database, offered_here("disk=ssd")) == ssd
    assert next_for(database, offered_here("gpu=*")) == gpu
    assert next_for(database, offered_here("!gpu=a,disk=ssd")) == gpu
    assert claim(database, gpu) is not None
    assert next_for(database, offered_here("!gpu=a,disk=ssd")) == more
    assert claim(database, plain) is not None
    assert next_for(database, HERE) is None


@pytest.mark.parametrize("label", ["repo=acme/wall", "!repo=acme/wall", "repo=acme/wall,!repo=acme/wall"])
def test_a_worker_of_one_repository_gets_only_its_jobs(database: Engine, repo_id: int, label: str) -> None:
    planned(database, repo_id, labelled())
    assert next_for(database, offered_here(label)) is None
    with transaction(database) as session:
        wall = store.add_repo(session, store.NewRepo("acme/wall", "file:///wall")).id
    assert next_for(database, offered_here(label)) is None
    (job_id,) = planned(database, wall, labelled())
    assert next_for(database, offered_here(label)) == job_id
    assert next_for(database, offered_here("repo=acme/wall,!repo=acme/roof")) is None
    assert next_for(database, {}) is None


def test_the_lane_of_labels_is_short_and_does_not_depend_on_their_order_or_on_empty_ones() -> None:
    assert lane_of({}) == lane_of({"gpu": ""}) == ""
    assert lane_of({"a": "1", "b": "2"}) == lane_of({"b": "2", "c": "", "a": "1"})
    assert lane_of({"a": "1"}) != lane_of({"a": "2"})
    assert len(lane_of({"a": "x" * 10_000})) == 16


def test_only_jobs_that_wait_for_nothing_but_a_worker_have_a_lane(database: Engine, repo_id: int) -> None:
    first, needs = planned(database, repo_id, job_plan("a", 1), job_plan("b", 2, ("a",)))
    turn, held = planned(database, repo_id, grouped(1), grouped(2))
    assert with_lanes(database) == [first, turn]
    for job_id in (first, turn):
        running = claim(database, job_id)
        assert running is not None
        with transaction(database) as session:
            opened = store.finish_job(session, job_id, running.attempt, PASSED).ready_job_ids
        assert opened == [job_id + 1]
    assert with_lanes(database) == [needs, held]


def test_a_job_that_is_given_back_makes_room_for_an_earlier_run(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        first = store.queue_run(session, repo_id, push())
        begun = leases.claim(session, first.job_id, "w", 60)
        assert begun is not None
    (later,) = planned(database, repo_id, grouped())
    assert with_lanes(database) == [], "the first run may have an earlier turn"
    with transaction(database) as session:
        store.plan_run(session, first.job_id, begun.attempt, plan(job_plan("a"), grouped(2)), lambda _: False)
        mine = store.jobs_of(session, first.run_id)[1].id
    with transaction(database) as session:
        session.execute(update(Job).where(Job.id == later).values(state=State.RUNNING, attempt=9, lane=None))
        session.execute(update(Job).where(Job.id == mine).values(lane=None))
        leases.release(session, later, 9)
    assert mine in with_lanes(database)
    assert claim(database, later) is None
    assert claim(database, mine) is not None


@pytest.mark.parametrize("limit", [1, 19, 20, 21, 45])
def test_as_many_jobs_get_their_turn_as_the_limit_says(database: Engine, repo_id: int, limit: int) -> None:
    ids = [planned(database, repo_id, grouped(limit=limit))[0] for _ in range(limit + 2)]
    assert with_lanes(database) == ids[:limit]
    with transaction(database) as session:
        session.execute(update(Job).values(lane=None))
    MissedTurns()(database)
    assert with_lanes(database) == ids[:limit]


def test_jobs_of_one_run_that_are_not_ready_delay_no_other_of_it(database: Engine, repo_id: int) -> None:
    waiting = [grouped(number).model_copy(update={"needs": ("last",), "name": f"n{number}"}) for number in range(1, 45)]
    ids = planned(database, repo_id, *waiting, grouped(45).model_copy(update={"name": "last"}))
    assert len(ids) == 45
    with reading(database) as session:
        assert [session.get_one(Job, job_id).name for job_id in with_lanes(database)] == ["last"]


def test_at_most_250_jobs_of_a_group_run_at_once(database: Engine, repo_id: int) -> None:
    ids = planned(database, repo_id, *(grouped(number, limit=LIMIT_MAX + 1) for number in range(1, LIMIT_MAX + 3)))
    assert LIMIT_MAX == 250
    with transaction(database) as session:
        session.execute(update(Job).where(Job.id.in_(ids[: LIMIT_MAX - 1])).values(state=State.RUNNING))
    assert claim(database, ids[-1]) is None
    assert claim(database, ids[-3]) is not None
    assert claim(database, ids[-2]) is None


def test_a_missed_turn_is_found_and_nothing_is_written_where_none_is_missed(database: Engine, repo_id: int) -> None:
    groups = GROUPS_AT_ONCE * 2 + 1
    ids = [planned(database, repo_id, grouped(group=f"g{number}"))[0] for number in range(groups)]
    running = [planned(database, repo_id, grouped(group=f"g{number}"))[0] for number in range(groups)]
    with transaction(database) as session:
        session.execute(update(Job).values(lane=None))
    missed = MissedTurns()
    for _ in range(3):
        missed(database)
    assert with_lanes(database) == ids
    written: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *about: written.append(about[2]))
    for _ in range(4):
        missed(database)
    assert not [text for text in written if text.startswith(("UPDATE", "BEGIN IMMEDIATE"))]
    assert set(running).isdisjoint(with_lanes(database))


def test_a_group_may_have_any_name(database: Engine, repo_id: int) -> None:
    noise = random.Random(7)
    long = "".join(noise.choices(string.printable + "äöü€", k=9_000))
    first, second, other = planned(
        database, repo_id, grouped(1, long), grouped(2, long), grouped(3, long.replace(long[0], "_") + "x")
    )
    assert with_lanes(database) == [first, other]
    assert claim(database, second) is None


def test_of_many_jobs_ahead_ten_are_named(database: Engine, repo_id: int) -> None:
    ids = [planned(database, repo_id, grouped())[0] for _ in range(12)]
    with reading(database) as session:
        jobs = [session.get_one(Job, job_id) for job_id in ids[10:]]
        eleventh, twelfth = (store.why_waiting(session, "acme/roof", [job])[job.id] for job in jobs)
    assert eleventh.endswith("run 9, job job-1 and run 10, job job-1 (concurrency group 'prod').")
    assert twelfth.endswith("run 10, job job-1 and more (concurrency group 'prod').")


def test_workers_are_woken_only_for_as_many_jobs_as_have_a_free_slot(database: Engine, repo_id: int) -> None:
    planned(database, repo_id, *(labelled(number, gpu="a") for number in range(1, 121)))
    (plain, second) = planned(database, repo_id, labelled(1), labelled(2))
    with transaction(database) as session:
        store.record_heartbeat(session, "w", HERE, 1, 60)
    with reading(database) as session:
        assert store.jobs_for_free_workers(session, -1) == [plain]
        assert store.jobs_for_free_workers(session, 60) == []
    for ahead_s, found in ((0, []), (60, [plain])):
        with transaction(database) as session:
            session.execute(update(Job).where(Job.id == plain).values(rung_ms=now_ms() + ahead_s * 1000))
        with reading(database) as session:
            assert store.jobs_for_free_workers(session, 60) == found, "a later time is from before the clock was set"
    with transaction(database) as session:
        leases.mark_notified(session, [plain])
    with transaction(database) as session:
        leases.let_scheduler_notify(session, second)
    with reading(database) as session:
        assert store.jobs_for_free_workers(session, 60) == [second]


def test_the_jobs_of_a_run_that_is_canceled_while_it_is_planned_end(database: Engine, repo_id: int) -> None:
    with transaction(database) as session:
        queued = store.queue_run(session, repo_id, push())
        begun = leases.claim(session, queued.job_id, "w", 60)
        assert begun is not None
    with transaction(database) as session:
        assert store.request_cancel(session, queued.run_id, "ada").state is State.RUNNING
    with transaction(database) as session:
        store.plan_run(session, queued.job_id, begun.attempt, plan(job_plan("a"), labelled(2)), lambda _: False)
    with reading(database) as session:
        assert {job.state for job in store.jobs_of(session, queued.run_id)} == {State.CANCELED}
        run = store.run_by_id(session, queued.run_id)
        assert run is not None
        assert run.state is State.CANCELED
    assert with_lanes(database) == []
