"""What a job writes to its caches counts as what it has written, and goes when it has filled the disk."""

import os
from pathlib import Path

from runner.caches.store import CacheStore, Wanted
from runner.docker.client import Engine
from workers.jobs.machine.cache_use import discard_views, written_in_views


def test_views_are_measured_by_job_and_removed_for_the_one_that_fills_the_disk(tmp_path: Path) -> None:
    caches, engine = tmp_path / "caches", Engine("unix:///none", connect=False)
    assert written_in_views(caches) == {}
    store = CacheStore(caches, "")
    jobs = [tmp_path / "workspaces" / name for name in ("large", "small")]
    for job, size in zip(jobs, (1_000_000, 10), strict=True):
        job.mkdir(parents=True)
        store.open_job(job)
        view = store.open_view(job, Wanted("c", 1, "scope/family", "k", (), 1))
        (view.upper(0) / "data").write_bytes(os.urandom(size))
    written = written_in_views(caches)
    assert set(written) == {"large", "small"}
    assert written["large"] > 1_000_000 > written["small"]
    discard_views(caches, jobs[0], engine)
    discard_views(caches, jobs[0], engine)
    assert set(written_in_views(caches)) == {"small"}
    assert list(store.gone.iterdir()) == []
