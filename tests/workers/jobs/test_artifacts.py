"""Artifacts on a server: kept by one workflow, restored in the next, listed, and not doubled by a re-run."""

from pathlib import Path

import pytest
from sqlalchemy import select

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.working import PushWorker
from workers import store
from workers.db.models import Job
from workers.db.session import reading
from workers.jobs.job_task import work
from workers.settings import Settings
from workers.store import artifacts as rows

pytestmark = pytest.mark.engine

BUILD = """\
steps:
  - name: make
    image: busybox
    commands: [mkdir -p dist, echo $CI_PIPELINE_NUMBER > dist/number, echo same > dist/same]
    artifacts: {paths: dist, name: Results, expire: 7d}
"""
DEPLOY = """\
depends_on: [build]
steps:
  - name: use
    image: busybox
    commands: [cat dist/number dist/same]
"""
NONE = """\
depends_on: [build]
artifacts: {from: []}
steps:
  - name: look
    image: busybox
    commands: ["test ! -e dist"]
"""


def test_artifacts_reach_the_next_workflow_and_the_list(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        files = {".headway/build.yml": BUILD, ".headway/deploy.yml": DEPLOY, ".headway/none.yml": NONE}
        for number in (1, 2):
            run = worker.runs("", {**files, "file": str(number)}).run
            with reading(worker.context.database) as session:
                waiting = list(session.scalars(select(Job.id).where(Job.run_id == run.id, Job.finished_ms.is_(None))))
            for job_id in waiting:
                work(worker.context, job_id)
            with reading(worker.context.database) as session:
                ended = store.run_by_id(session, run.id)
                assert ended is not None
                assert ended.state is State.PASSED, ended.sentence
                found = rows.artifacts_of_run(session, run.id, 100)
            assert [(each.artifact.path, each.artifact.name, each.job.name, each.step_name) for each in found] == [
                ("dist/number", "Results", "build", "make"), ("dist/same", "Results", "build", "make"),
            ]  # fmt: skip
        assert len(list(worker.context.blobs.names("artifacts"))) == 3, "what both runs have is stored once"
    finally:
        worker.close()
