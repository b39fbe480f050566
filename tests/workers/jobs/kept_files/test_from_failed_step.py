"""A job goes on from the step that failed, with the files as they were, from end to end on one worker."""

from pathlib import Path

import pytest

from pipelines.state import State
from tests.support.working import PushWorker
from workers import store
from workers.db.session import reading, transaction
from workers.jobs.job_task import work
from workers.settings import Settings
from workers.store.reruns.choice import Asked, as_stored, choose

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: make
    image: busybox
    commands: [echo $CI_PIPELINE_NUMBER > made]
  - name: check
    image: busybox
    commands: [echo of-run $(cat made), "test $CI_PIPELINE_NUMBER = 2"]
  - name: after
    image: busybox
    commands: [ls made]
    when: {status: [success, failure]}
"""


@pytest.mark.usefixtures("engine")
def test_a_job_goes_on_from_the_step_that_failed(settings: Settings, tmp_path: Path) -> None:
    worker = PushWorker(settings.model_copy(update={"keep_failed_h": 1}), tmp_path)
    try:
        first = worker.runs(PIPELINE)
        assert first.run.state is State.FAILED
        asked = Asked(failed=True, from_step=True)
        with transaction(worker.context.database) as session:
            request = as_stored(asked, choose(session, store.jobs_of(session, first.run.id), asked), "ada", "")
            queued = store.rerun(session, first.run.id, asked=request)
        work(worker.context, queued.job_id)
        with reading(worker.context.database) as session:
            run = store.run_by_id(session, queued.run_id)
            steps = store.steps_of_run(session, queued.run_id)
        assert run is not None
        assert run.state is State.PASSED, run.sentence
        assert [step.carried_from for step in steps] == [1, None, None]
        with worker.context.logs.open(queued.run_id, steps[1].job_id, 2, steps[1].attempt) as log:
            assert b"of-run 1\n" in log.read(0)
        assert not list((settings.data_dir / "kept").iterdir()), "the job that passed keeps nothing"
    finally:
        worker.close()
