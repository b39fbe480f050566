"""Caches of several machines: what one has kept, another one fetches from the blob store, and what is damaged is none.

The other machine is an empty folder of caches over the same database and blob store.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import select

from pipelines.state import State
from runner.caches.store import CacheStore
from runner.caches.trimming import stored_versions
from runner.docker.client import Engine
from runner.execution.job.journal import boot_id
from tests.support.working import FinishedRun, PushWorker
from workers.blobs import BlobStore, StoredBlob
from workers.db.models import Job, SharedCache
from workers.db.session import reading
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: test
    image: busybox
    cache: {key: v-checksum(lock), paths: [/kept/a, /kept/b], restore: [v-]}
    commands:
      - ls -ln /kept/a /kept/b
      - if [ ! -e /kept/a/file ]; then echo large > /kept/a/file; chown 1234:5 /kept/a/file; chmod 640 /kept/a/file; fi
      - ln -sf /etc/passwd /kept/b/link
      - mkdir -p /kept/b/run-$CI_PIPELINE_NUMBER
"""


class Machines:
    """A worker whose folder of caches is that of one machine or another one."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self._folder = settings, folder
        self.worker = PushWorker(settings, folder)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Meanwhile the worker has the caches of this machine."""
        own, used = self._folder / f"caches-{name}", self.settings.caches_dir
        own.mkdir(exist_ok=True)
        own.rename(used)
        try:
            yield
        finally:
            used.rename(own)

    def run(self, lock: str = "1") -> FinishedRun:
        run = self.worker.runs(PIPELINE, {"lock": lock})
        assert run.run.state is State.PASSED
        return run

    @property
    def blobs(self) -> BlobStore:
        return self.worker.context.blobs

    def shared(self) -> list[SharedCache]:
        with reading(self.worker.context.database) as session:
            return list(session.scalars(select(SharedCache).order_by(SharedCache.id)))


@pytest.fixture(params=["folder", "bucket"])
def machines(request: pytest.FixtureRequest, settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[Machines]:
    url = str(request.getfixturevalue("bucket_url")) if request.param == "bucket" else ""
    shared = settings.model_copy(update={"shared_cache_bytes_max": 10**8, "blob_url": url})
    machines = Machines(shared, tmp_path)
    yield machines
    machines.worker.close()


def log_of(run: FinishedRun) -> str:
    with run.log() as log:
        return log.read(0, 20_000).decode()


def test_another_machine_fetches_what_one_has_kept(machines: Machines) -> None:
    with machines.on("one"):
        machines.run()
    (row,) = machines.shared()
    with machines.on("two"):
        second = log_of(machines.run())
        assert ", fetched)" in second
        assert "1234" in second, "owners and modes are those of the step"
        assert "-rw-r-----" in second
        assert "run-1" in second
        assert "link -> /etc/passwd" in second
        third = log_of(machines.run())
        assert "fetched" not in third, "it is on this machine now"
        caches = CacheStore(machines.settings.caches_dir, boot_id())
        assert [each.version.key for each in stored_versions(caches)] == [row.key]
        assert list(caches.views.iterdir()) == []
    with machines.on("three"):
        other = log_of(machines.run(lock="2"))
        assert ", fetched), in place of" in other, "a beginning of keys finds copies too"


def test_a_damaged_copy_is_none_and_is_forgotten(machines: Machines) -> None:
    with machines.on("one"):
        machines.run()
    (row,) = machines.shared()
    (name,) = (name for name in machines.blobs.names("artifacts") if name.endswith(row.blob_key))
    good = b"".join(machines.blobs.get(name))
    machines.blobs.delete([name])
    machines.blobs.put(name, good[:-9] + b"123456789")
    with machines.on("two"):
        log = log_of(machines.run())
        assert "headway: warning: cache v-checksum(lock): the shared copy cannot be used: it is damaged" in log
        assert "nothing is kept for" in log
    (again,) = machines.shared()
    assert again.blob_key != row.blob_key, "what this machine has kept is shared in its place"
    with machines.on("three"):
        assert ", fetched)" in log_of(machines.run())


def test_an_untrusted_run_fetches_and_shares_nothing(machines: Machines) -> None:
    with machines.on("one"):
        machines.run()
    before = [row.blob_key for row in machines.shared()]
    with machines.on("two"):
        run = machines.worker.runs(PIPELINE, {"lock": "1"}, from_fork=True)
        assert run.run.state is State.PASSED
        assert ", fetched)" in log_of(run)
        assert "its caches are not kept: this run is untrusted" in log_of(run)
    assert [row.blob_key for row in machines.shared()] == before


class LookingBlobs:
    """A blob store that notes, when a blob of artifacts or caches is put, which states jobs have."""

    def __init__(self, blobs: BlobStore, database: Database) -> None:
        self._blobs, self._database = blobs, database
        self.states: list[State] = []
        self.before: Callable[[], None] | None = None

    def put(self, name: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> StoredBlob:
        if name.startswith("artifacts/"):
            if self.before:
                self.before()
            with reading(self._database) as session:
                self.states += session.scalars(select(Job.state))
        return self._blobs.put(name, data, durable=durable)

    def __getattr__(self, name: str) -> object:
        return getattr(self._blobs, name)


def test_the_verdict_does_not_wait_for_the_copy(machines: Machines) -> None:
    looking = LookingBlobs(machines.blobs, machines.worker.context.database)
    machines.worker.context = replace(machines.worker.context, blobs=cast("BlobStore", looking))
    with machines.on("one"):
        machines.run()
    assert looking.states == [State.PASSED]


TWO = """\
steps:
  - name: test
    image: busybox
    cache: [/kept/a, /kept/b]
    commands: [touch /kept/a/file /kept/b/file]
"""


def test_copies_are_shared_after_the_job_has_no_lease_any_more(machines: Machines) -> None:
    context = machines.worker.context
    looking = LookingBlobs(machines.blobs, context.database)
    settings = context.settings.model_copy(update={"lease_s": 5})
    machines.worker.context = replace(context, blobs=cast("BlobStore", looking), settings=settings)

    def until_nothing_is_renewed() -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("lease"):
                thread.join(100)

    looking.before = until_nothing_is_renewed
    with machines.on("one"):
        assert machines.worker.runs(TWO).run.state is State.PASSED
    assert [row.key for row in machines.shared()] == ["/kept/a", "/kept/b"]


def test_without_a_quota_nothing_is_shared(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    machines = Machines(settings, tmp_path)
    with machines.on("one"):
        machines.run()
    assert machines.shared() == []
    machines.worker.close()
