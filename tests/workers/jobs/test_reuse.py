"""Steps that need not run again, from end to end on one worker."""

from pathlib import Path

import pytest

from pipelines.state import State
from tests.support.working import PushWorker
from workers import store
from workers.db.models import Step
from workers.db.session import reading, transaction
from workers.jobs.job_task import work
from workers.settings import Settings
from workers.store import artifacts as artifact_rows

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: make
    image: busybox
    commands: [mkdir -p out, cat src/a > out/made, echo made it]
    sources: src/**
    artifacts: out/**
  - name: check
    image: busybox
    commands: [cat out/made docs/text]
    sources: [src, docs]
"""


@pytest.mark.usefixtures("engine")
def test_a_step_takes_log_and_artifacts_of_the_run_in_which_nothing_was_different(
    settings: Settings, tmp_path: Path
) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        files = {"src/a": "one\n", "docs/text": "first\n"}
        assert worker.runs(PIPELINE, files).run.state is State.PASSED
        second = worker.runs(PIPELINE, files | {"docs/text": "second\n"})
        assert second.run.state is State.PASSED, second.run.sentence
        with reading(worker.context.database) as session:
            make, check = store.steps_of_run(session, second.run.id)
            kept = artifact_rows.artifacts_of_run(session, second.run.id, 10)
        assert make.facts["reused"]["run"] == 1
        assert make.message.startswith("unchanged since run 1, saved ")
        assert "reused" not in check.facts
        assert [each.artifact.path for each in kept] == ["out/made"]
        assert _log(worker, second.run.id, make).endswith(b"made it\nheadway: kept 1 file as artifacts (4 bytes)\n")
        said = _log(worker, second.run.id, check)
        assert b"headway: it runs: source 'docs' changed since run 1\n" in said
        assert said.endswith(b"one\nsecond\n"), "the files of the step that did not run are there"
    finally:
        worker.close()


@pytest.mark.usefixtures("engine")
def test_a_re_run_without_reuse_runs_every_step(settings: Settings, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        first = worker.runs(PIPELINE, {"src/a": "one\n", "docs/text": "first\n"})
        found = []
        for no_reuse in (False, True):
            with transaction(worker.context.database) as session:
                queued = store.rerun(session, first.run.id, no_reuse=no_reuse)
            work(worker.context, queued.job_id)
            with reading(worker.context.database) as session:
                found.append(["reused" in step.facts for step in store.steps_of_run(session, queued.run_id)])
        assert found == [[True, True], [False, False]]
    finally:
        worker.close()


def _log(worker: PushWorker, run_id: int, step: Step) -> bytes:
    with worker.context.logs.open(run_id, step.job_id, step.number, step.attempt) as log:
        return bytes(log.read(0))
