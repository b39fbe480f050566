"""Caches on a server: kept by one run, found by the next, shown at the step, in the worker's own data directory."""

from pathlib import Path

import pytest

from pipelines.state import State
from runner.caches.store import CacheStore
from runner.caches.trimming import stored_versions
from runner.docker.client import Engine
from runner.execution.job.journal import boot_id
from tests.support.working import PushWorker
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: test
    image: busybox
    cache: pip
    commands: ['ls "$PIP_CACHE_DIR"', 'touch "$PIP_CACHE_DIR/run-$CI_PIPELINE_NUMBER"']
"""


def test_the_next_run_finds_what_a_run_kept(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        first = worker.runs(PIPELINE, {"requirements.txt": "a"})
        second = worker.runs(PIPELINE, {"requirements.txt": "b"})
        assert [run.run.state for run in (first, second)] == [State.PASSED, State.PASSED]
        (before,), (after,) = (run.steps[0].facts["caches"] for run in (first, second))
        assert (before["name"], before["found"]) == ("pip", "")
        assert (after["found"], after["key"] != before["key"]) == (before["key"], True)
        with second.log() as log:
            assert b"run-1" in log.read(0, 10_000).splitlines()
        caches = CacheStore(settings.caches_dir, boot_id())
        assert [each.version.key for each in stored_versions(caches)] == [after["key"], before["key"]]
        assert list(caches.views.iterdir()) == []
    finally:
        worker.close()
