"""While the database could not be written for lack of room, no silence of a worker counts."""

import pytest

from pipelines.state import State
from tests.workers.scheduler.conftest import LEASE_S, SchedulerFixture


def test_a_lease_begins_anew_when_there_is_room_again_and_no_attempt_is_counted(site: SchedulerFixture) -> None:
    site.claim()
    site.let_the_lease_run_out()
    site.context.disk_was_full.set()
    site.tick()
    assert site.notified == []
    site.now_s += LEASE_S - 0.1
    site.tick()
    assert (site.run().state, site.notified) == (State.RUNNING, [])


@pytest.mark.slow
def test_a_worker_that_is_silent_after_that_has_lost_the_job(site: SchedulerFixture) -> None:
    site.claim()
    site.let_the_lease_run_out()
    site.context.disk_was_full.set()
    site.tick()
    site.now_s += LEASE_S
    site.tick()
    assert site.notified == [site.queued.job_id]
