"""A real worker that is drained while it has a job, and one that ends when it has had none for a while."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.state import State
from tests.support.services import eventually
from tests.workers.jobs.test_two_workers import BUILD, PATIENCE_S, STEP, Site
from workers import store
from workers.db.session import transaction
from workers.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.stress]


def test_a_drained_worker_ends_with_its_job_and_an_idle_one_by_itself(
    settings: Settings, sqlite_database: Engine, tmp_path: Path
) -> None:
    site = Site(settings, sqlite_database, tmp_path)
    site.start("", tmp_path / "drained.log")
    (worker,) = eventually(site.alive, PATIENCE_S)
    begun = site.push({"long": STEP.format(commands="[sleep 6]")})
    eventually(lambda: "long" in site.jobs(begun) and site.jobs(begun)["long"].state is State.RUNNING, PATIENCE_S)
    with transaction(sqlite_database) as session:
        assert store.set_drained(session, worker.name, drained=True)
    late = site.push({"late": BUILD})
    site.wait()
    assert site.alive() == []
    assert (site.run(begun).state, site.run(late).state) == (State.PASSED, State.QUEUED)
    assert "this worker is drained and has no job: it ends" in (tmp_path / "drained.log").read_text()

    site.start("", tmp_path / "idle.log", "--exit-when-idle", "3s")
    with transaction(sqlite_database) as session:
        store.request_cancel(session, late, "ada")
    last = site.push({"last": BUILD})
    assert site.ended(last).state is State.PASSED
    site.wait()
    assert site.alive() == []
