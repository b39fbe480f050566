"""What a step of a run on a server knows of the workflows before it, of the run before it, and of its own page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.client import Engine
from tests.support.working import PushWorker
from workers import store
from workers.db.models import Job, Run
from workers.db.session import reading
from workers.jobs.job_task import work
from workers.settings import Settings

pytestmark = pytest.mark.engine

TELL = (
    "  - {name: plain, image: busybox, commands: [echo told $CI_PIPELINE_STATUS]}\n"
    "  - {name: good, image: busybox, commands: [echo never], when: {status: success}}\n"
    "  - {name: bad, image: busybox, commands: [echo told $CI_PIPELINE_STATUS], when: {status: failure}}\n"
)
FILES = {
    ".headway/build.yml": "steps: [{name: b, image: busybox, commands: exit 3}]\n",
    ".headway/both.yml": f"depends_on: [build]\nruns_on: [success, failure]\nsteps:\n{TELL}",
    ".headway/alarm.yml": f"depends_on: [build]\nwhen: {{status: failure}}\nsteps:\n{TELL}",
    ".headway/deploy.yml": "depends_on: [build]\nsteps: [{name: d, image: busybox, commands: 'true'}]\n",
}


@pytest.fixture
def worker(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path)
    yield worker
    worker.close()


def work_on(worker: PushWorker, run: Run) -> None:
    """Runs the other jobs of the run, as they become ready."""
    while True:
        with reading(worker.context.database) as session:
            waiting = [job.id for job in store.jobs_of(session, run.id) if not job.state.final and job.ready]
        if not waiting:
            return
        work(worker.context, waiting[0])


def test_the_workflows_that_one_depends_on_count_as_what_went_before(worker: PushWorker) -> None:
    run = worker.runs("", FILES).run
    work_on(worker, run)
    with reading(worker.context.database) as session:
        jobs = {job.name: job for job in store.jobs_of(session, run.id)}
        steps = {(jobs_by_id(jobs)[step.job_id], step.name): step for step in store.steps_of_run(session, run.id)}
    assert {name: job.state for name, job in jobs.items()} == {
        "build": State.FAILED,
        "both": State.PASSED,
        "alarm": State.PASSED,
        "deploy": State.SKIPPED,
    }
    for name in ("both", "alarm"):
        states = [steps[name, step].state for step in ("plain", "good", "bad")]
        assert states == [State.PASSED, State.SKIPPED, State.PASSED]
        skipped = steps[name, "good"]
        message = "it runs only after success (`when: status`), and workflow 'build' did not pass"
        assert (skipped.reason, skipped.message) == (Reason.CONDITION, message)
        for step in (steps[name, "plain"], steps[name, "bad"]):
            with worker.context.logs.open(run.id, step.job_id, step.number, step.attempt) as log:
                assert log.read(0, log.size_bytes).endswith(b"\ntold failure\n")


def jobs_by_id(jobs: dict[str, Job]) -> dict[int, str]:
    return {job.id: name for name, job in jobs.items()}


def test_a_step_knows_the_run_before_and_its_own_page(worker: PushWorker) -> None:
    failing = "steps: [{name: a, image: busybox, commands: exit 3}]"
    first = worker.runs(failing).run
    tell = "echo $CI_PREV_PIPELINE_NUMBER $CI_PREV_PIPELINE_STATUS ${CI_PREV_COMMIT_SHA} $CI_STEP_URL"
    done = worker.runs(f"steps: [{{name: a, image: busybox, commands: ['{tell}']}}]")
    with done.log() as log:
        said = log.read(0, log.size_bytes).decode().splitlines()[-1]
    url = worker.context.settings.run_url("acme/roof", 2)
    assert said == f"1 failure {first.sha} {url}?step={done.steps[0].id}"
