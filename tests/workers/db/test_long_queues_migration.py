"""The migration that gives waiting jobs their lanes."""

import pytest
from sqlalchemy import Engine, text

from tests.support.builders import push
from tests.support.history import History, fill
from workers import store
from workers.db.session import downgrade, reading, transaction, upgrade
from workers.scheduler.missed_turns import MissedTurns

_WAITING = "SELECT id, repo_id, CASE WHEN {} THEN lane END FROM jobs WHERE finished_ms IS NULL ORDER BY id"


@pytest.fixture
def filled(empty_database: Engine) -> Engine:
    """A database with jobs that wait for everything that jobs can wait for but to be planned."""
    upgrade(empty_database)
    fill(empty_database, History(runs=60, repos=3, queued=60, groups=7, waits_for=("free", "labels", "group", "needs")))
    return empty_database


@pytest.mark.slow
def test_jobs_that_wait_already_are_found_after_the_migration(filled: Engine) -> None:
    before, without_groups = waiting(filled), waiting(filled, "group_key IS NULL")
    assert before != without_groups
    downgrade(filled, "0010")
    downgrade(filled, "-1")
    upgrade(filled)
    assert waiting(filled) == without_groups
    MissedTurns()(filled)
    assert waiting(filled) == before


@pytest.mark.slow
def test_a_run_that_waits_for_approval_gets_no_lane(filled: Engine) -> None:
    with transaction(filled) as session:
        held = store.queue_run(session, 1, push(), held=True).job_id
        free = store.queue_run(session, 2, push()).job_id
    downgrade(filled, "0009")
    upgrade(filled)
    lanes = {row[0]: row[2] for row in waiting(filled)}
    assert (lanes[held], lanes[free]) == (None, "")


def waiting(engine: Engine, which: str = "1 = 1") -> list[tuple[object, ...]]:
    with reading(engine) as session:
        return [tuple(row) for row in session.execute(text(_WAITING.format(which)))]
