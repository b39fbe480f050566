"""What is removed by age and number, and what never is, on both databases."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, insert, select, update

from pipelines.state import State
from pipelines.trigger import Event
from tests.support.builders import SHA, push
from tests.support.logs import folder_logs
from workers import store
from workers.db.models import Base, Cron, Delivery, Job, LogSegment, Run, Status, Step, StoredLog
from workers.db.session import db_now_ms, reading, transaction
from workers.logs import LogStore
from workers.retention_policy import RUNS_KEPT, RetentionPolicy
from workers.scheduler.old_logs_and_logins import delete_marked_logs
from workers.scheduler.old_runs_and_deliveries import OldRows
from workers.store.repos.retention import set_own_values
from workers.store.runs import expiry

DAY_MS = 86_400_000
OLD = RetentionPolicy(run_days=10)


@pytest.fixture
def logs(database: Engine, tmp_path: Path) -> LogStore:
    return folder_logs(database, tmp_path)


def add_runs(database: Engine, repo_id: int, ages_days: Iterable[float], **values: object) -> None:
    """Finished runs that ended so many days ago, numbered in this order."""
    with transaction(database) as session:
        repo = store.repo_by_id(session, repo_id)
        assert repo is not None
        now = db_now_ms(session)
        common = {
            "repo_id": repo_id, "trigger": push().model_dump_json(), "event": Event.PUSH, "ref": "refs/heads/topic",
            "branch": "topic", "sha": SHA, "title": "", "message": "", "author": "", "sentence": "", "problems": [],
            "warnings": [], "left_out": [], "cancel_by": "", "state": State.FAILED, **values,
        }  # fmt: skip
        rows = []
        for age in ages_days:
            repo.last_number += 1
            at_ms = int(now - age * DAY_MS)
            rows.append(common | {"number": repo.last_number, "created_ms": at_ms - 5, "finished_ms": at_ms})
        session.execute(insert(Run), rows)


def numbers(database: Engine, repo_id: int) -> list[int]:
    with reading(database) as session:
        return list(session.scalars(select(Run.number).where(Run.repo_id == repo_id).order_by(Run.number)))


def count(database: Engine, table: type[Base]) -> int:
    with reading(database) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def removed(database: Engine, logs: LogStore, policy: RetentionPolicy) -> tuple[int, int]:
    """What one round removes, after it was announced."""
    rows = OldRows(database, logs, policy, sleep=lambda _: None)
    announced, done = rows.count(), rows.remove()
    assert (announced.runs, announced.deliveries) == (done.runs, done.deliveries)
    assert rows.count() == type(done)()
    return done.runs, done.deliveries


def test_runs_are_removed_at_their_age_and_not_before(database: Engine, repo_id: int, logs: LogStore) -> None:
    add_runs(database, repo_id, [11, 10.01, 9.99, 9, *[0] * RUNS_KEPT])
    assert removed(database, logs, OLD) == (2, 0)
    assert numbers(database, repo_id) == list(range(3, 5 + RUNS_KEPT))
    assert removed(database, logs, RetentionPolicy()) == (0, 0)


@pytest.mark.parametrize(("more", "gone"), [(0, 0), (1, 1)])
def test_the_newest_runs_stay_however_old_they_are(
    database: Engine, repo_id: int, logs: LogStore, more: int, gone: int
) -> None:
    add_runs(database, repo_id, [100] * (RUNS_KEPT + more))
    assert removed(database, logs, OLD) == (gone, 0)
    assert len(numbers(database, repo_id)) == RUNS_KEPT


def test_more_runs_than_the_number_are_removed_but_not_on_their_first_day(
    database: Engine, repo_id: int, logs: LogStore
) -> None:
    policy = RetentionPolicy(run_count=RUNS_KEPT + 5)
    add_runs(database, repo_id, [2] * (RUNS_KEPT + 5))
    assert removed(database, logs, policy) == (0, 0)
    add_runs(database, repo_id, [0.5, 0.5, 0.5])
    assert removed(database, logs, policy) == (3, 0)
    assert numbers(database, repo_id)[0] == 4
    with transaction(database) as session:
        session.execute(update(Run).where(Run.number == 4).values(finished_ms=db_now_ms(session) - DAY_MS // 2))
    add_runs(database, repo_id, [0])
    assert removed(database, logs, policy) == (0, 0)


def test_what_something_refers_to_stays(database: Engine, repo_id: int, logs: LogStore) -> None:
    add_runs(database, repo_id, [40], branch="main", state=State.PASSED)
    add_runs(database, repo_id, [39], branch="main", state=State.PASSED)
    add_runs(database, repo_id, [38], branch="main", state=State.PASSED, event=Event.PULL_REQUEST)
    add_runs(database, repo_id, [38, 38, 38, 38, *[0] * RUNS_KEPT])
    with transaction(database) as session:
        by_number = {run.number: run.id for run in session.execute(select(Run.number, Run.id))}
        session.execute(update(Run).where(Run.number == 4).values(finished_ms=None, state=State.RUNNING))
        cron = Cron(repo_id=repo_id, name="nightly", expression="@daily", zone="UTC", last_run_id=by_number[5])
        session.add_all([cron, Status(run_id=by_number[6], next_try_ms=1), Status(run_id=by_number[7])])
        session.execute(update(Run).where(Run.number == 10).values(parent_run_id=by_number[7]))
    assert removed(database, logs, OLD) == (3, 0)
    assert [number for number in numbers(database, repo_id) if number < 10] == [2, 4, 5, 6, 8, 9]
    with reading(database) as session:
        child = store.run_by_number(session, repo_id, 10)
        assert child is not None
        assert child.parent_run_id is None
    with transaction(database) as session:
        assert store.queue_run(session, repo_id, push()).number == 8 + RUNS_KEPT, "numbers are never used again"


def test_all_rows_of_a_run_go_and_its_logs(
    database: Engine, repo_id: int, logs: LogStore, tmp_path: Path
) -> None:  # fmt: skip
    add_runs(database, repo_id, [100])
    with transaction(database) as session:
        run_id = session.scalars(select(Run.id)).one()
        job = Job(run_id=run_id, repo_id=repo_id, key="k", number=1, state=State.PASSED, attempt=1, created_ms=1)
        session.add(job)
        session.flush()
        session.add(Step(job_id=job.id, number=1, name="s", kind="commands", state=State.PASSED))
        session.add(StoredLog(key="a" * 32, job_id=job.id, step_number=1, attempt=1, created_ms=1))
        segment = dict.fromkeys(
            ("number", "level", "raw_offset", "raw_bytes", "newlines_before", "newlines", "at_ms", "frames_bytes"), 0
        )
        session.flush()
        session.add(LogSegment(log_key="a" * 32, ends_line=True, blob="b", blob_bytes=7, frames=b"", **segment))
        values = {"repo_id": repo_id, "key": "d", "state": "accepted", "run_id": run_id, "received_ms": 1}
        session.add(Delivery(**values))
    add_runs(database, repo_id, [0] * RUNS_KEPT)
    assert removed(database, logs, OLD) == (1, 0)
    assert [count(database, each) for each in (Job, Step)] == [0, 0]
    with transaction(database) as session:
        again = store.record_delivery(session, repo_id, store.NewDelivery("d", trigger=push()))
    assert (again.run_id, again.job_id, again.reason) == (None, None, expiry.RUN_REMOVED)
    assert delete_marked_logs(logs) == ""
    assert [count(database, each) for each in (StoredLog, LogSegment)] == [0, 0]


def test_a_repository_has_values_of_its_own_within_the_servers(
    database: Engine, repo_id: int, logs: LogStore
) -> None:  # fmt: skip
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/cellar", "file:///cellar")).id
        set_own_values(session, repo_id, {"run_days": 3, "log_days": 2})
        set_own_values(session, other, {"run_days": 99})
    for each in (repo_id, other):
        add_runs(database, each, [11, 4, 1, *[0] * RUNS_KEPT])
    assert removed(database, logs, OLD) == (3, 0)
    assert (numbers(database, repo_id)[0], numbers(database, other)[0]) == (3, 2)
    with reading(database) as session:
        assert [each for _, each in store.runs_past_retention(session, 2)] == [
            session.scalars(select(Run.id).where(Run.repo_id == other, Run.number == 2)).one()
        ]


def test_logs_go_at_the_repositorys_own_age(database: Engine, repo_id: int, logs: LogStore) -> None:
    with transaction(database) as session:
        other = store.add_repo(session, store.NewRepo("acme/cellar", "file:///cellar")).id
        set_own_values(session, repo_id, {"log_days": 2})
    for each in (repo_id, other):
        add_runs(database, each, [3, 1])
    removed(database, logs, RetentionPolicy(log_days=30))
    with reading(database) as session:
        gone = session.execute(select(Run.repo_id, Run.number).where(Run.logs_deleted_ms.is_not(None))).all()
    assert [tuple(row) for row in gone] == [(repo_id, 1)]


def add_deliveries(database: Engine, repo_id: int, ages_days: Iterable[float]) -> None:
    with transaction(database) as session:
        now, before = db_now_ms(session), count(database, Delivery)
        for number, age in enumerate(ages_days, before):
            at_ms = int(now - age * DAY_MS)
            session.add(Delivery(repo_id=repo_id, key=f"d{number}", state="refused", received_ms=at_ms))


def test_deliveries_go_by_age_and_number(database: Engine, repo_id: int, logs: LogStore) -> None:
    add_deliveries(database, repo_id, [11, 10.01, 9.99, 1, 1, 1])
    assert removed(database, logs, RetentionPolicy(delivery_days=10, delivery_count=4)) == (0, 2)
    assert removed(database, logs, RetentionPolicy(delivery_count=3)) == (0, 1)
    with reading(database) as session:
        assert sorted(session.scalars(select(Delivery.key))) == ["d3", "d4", "d5"]


def test_a_round_ends_after_its_time_and_the_next_goes_on(database: Engine, repo_id: int, logs: LogStore) -> None:
    add_runs(database, repo_id, [100] * (RUNS_KEPT + 45))
    pauses: list[float] = []
    now_s = [0.0]

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        now_s[0] += 60

    rows = OldRows(database, logs, OLD, sleep=sleep, monotonic_s=lambda: now_s[0])
    commits: list[object] = []
    event.listen(database, "commit", commits.append)
    assert (rows.remove(), len(pauses)) == (type(rows.count())(40, 0, complete=False), 1)
    assert len(commits) == 2, "twenty runs in a transaction"
    assert rows.remove().runs == 5


@pytest.mark.parametrize(
    ("policy", "pages"), [(OLD, 4), (RetentionPolicy(run_count=RUNS_KEPT + 5), 10), (RetentionPolicy(run_days=60), 1)]
)
def test_runs_are_looked_at_until_none_can_be_over(
    database: Engine, repo_id: int, policy: RetentionPolicy, pages: int
) -> None:
    add_runs(database, repo_id, [50] * 35 + [5] * 100)
    with reading(database) as session:
        over = expiry.run_expiry(session, repo_id, 135, policy)
        assert over is not None
        looks, after = 0, 0
        while (found := expiry.expired_runs(session, over, "main", after, 10)).up_to is not None:
            looks, after = looks + 1, found.up_to
    assert looks + 1 == pages


def test_a_list_of_runs_has_no_end_at_a_gap(database: Engine, repo_id: int, logs: LogStore) -> None:
    add_runs(database, repo_id, [40], branch="main", state=State.PASSED)
    add_runs(database, repo_id, [39] * 300)
    add_runs(database, repo_id, [0] * RUNS_KEPT)
    removed(database, logs, OLD)
    with reading(database) as session:
        listed = [run.number for run in store.runs_of(session, repo_id, limit=RUNS_KEPT + 1)]
        assert listed == [*range(301 + RUNS_KEPT, 301, -1), 1]
        assert [run.number for run in store.runs_of(session, repo_id, before=302, limit=5)] == [1]
        assert store.runs_of(session, repo_id, before=1, limit=5) == []
        statements: list[object] = []
        event.listen(database, "before_cursor_execute", lambda *call: statements.append(call))
        assert [run.number for run in store.runs_of(session, repo_id, before=302, limit=5)] == [1]
        assert len(statements) <= 5, "each range is wider than the one before"
