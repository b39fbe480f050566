"""Shared copies of caches on both databases, in a folder and a bucket: which one counts, and which go."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from pipelines.state import PASSED
from runner.caches.sharing import SharedCopy
from runner.caches.store import Wanted
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.artifacts.storage import NO_LIMITS, RunLimits, StoredArtifacts
from workers.blobs import BlobStore, open_blobs
from workers.caches.housekeeping import drop_old_copies
from workers.caches.shared import SharedCacheStorage
from workers.db.models import ArtifactBlob, Job, Run, SharedCache
from workers.db.session import make_engine, reading, transaction
from workers.settings import Settings
from workers.store import artifacts as artifact_rows
from workers.store import shared_caches as rows
from workers.store.common import DAY_MS
from workers.store.jobs import leases

BYTES_MAX = 10_000_000
HOUR_MS = artifact_rows.UNUSED_MS


@dataclass
class Place:
    """An installation with one repository, and its shared caches."""

    database: Engine
    blobs: BlobStore
    repo_id: int
    folder: Path

    def storage(self, bytes_max: int = BYTES_MAX, limits: RunLimits = NO_LIMITS) -> SharedCacheStorage:
        with transaction(self.database) as session:
            job_id = store.queue_run(session, self.repo_id, push()).job_id
            claim = leases.claim(session, job_id, "w1", 15)
            assert claim is not None
            store.plan_run(session, job_id, claim.attempt, plan(job_plan("build", 1)))
        artifacts = StoredArtifacts(self.database, self.blobs, claim, self.repo_id, limits)
        return SharedCacheStorage(self.database, self.blobs, artifacts, self.repo_id, bytes_max)

    def share(self, key: str, content: bytes, place: str = "1-a/family", bytes_max: int = BYTES_MAX) -> None:
        self.storage(bytes_max).share(place, key, 4096, iter([content[:3], content[3:]]), self.folder / "spool")
        assert not (self.folder / "spool").exists()

    def found(self, key: str, *restore: str, place: str = "1-a/family", own_key: bool = False) -> SharedCopy | None:
        return self.storage().find(wanted(key, *restore, place=place), own_key=own_key)

    def content(self, key: str, *restore: str) -> bytes:
        copy = self.found(key, *restore)
        return b"".join(self.storage().read(copy)) if copy else b""

    def keys(self) -> list[str]:
        with reading(self.database) as session:
            return list(session.scalars(select(SharedCache.key).order_by(SharedCache.id)))

    def later(self, ms: int, *keys: str) -> None:
        """So much time passes, for these copies, and for blobs."""
        with transaction(self.database) as session:
            which = SharedCache.key.in_(keys)
            session.execute(update(SharedCache).where(which).values(used_ms=SharedCache.used_ms - ms))
            session.execute(update(ArtifactBlob).values(used_ms=ArtifactBlob.used_ms - ms))

    def blob_names(self) -> list[str]:
        return list(self.blobs.names("artifacts"))


def wanted(key: str, *restore: str, place: str = "1-a/family") -> Wanted:
    return Wanted("pip", 1, place, key, restore, 1)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, database: Engine, repo_id: int, tmp_path: Path) -> Place:
    url = str(request.getfixturevalue("bucket_url")) if request.param == "bucket" else ""
    return Place(database, open_blobs(Settings(data_dir=tmp_path, blob_url=url)), repo_id, tmp_path)


def test_what_was_shared_is_found_by_its_key_and_read_as_it_was(place: Place) -> None:
    place.share("pip-1", b"archive" * 100_000)
    assert place.found("pip-2") is None
    assert place.found("pip-1", place="1-b/family") is None, "of another repository or trust"
    copy = place.found("pip-1")
    assert copy is not None
    assert (copy.key, copy.archive_bytes, copy.kept_bytes) == ("pip-1", 700_000, 4096)
    assert place.content("pip-1") == b"archive" * 100_000


def test_of_a_beginning_the_copy_that_was_used_last_is_found_and_an_own_key_counts_first(place: Place) -> None:
    for key in ("pip-1", "pip-2", "npm-1", "PIP-3"):
        place.share(key, key.encode())
    assert place.content("pip-9", "yarn-", "pip-") == b"pip-2"
    assert place.content("pip-1", "pip-") == b"pip-1"
    place.later(1000, "pip-2")
    assert place.content("pip-9", "pip-") == b"pip-1", "case counts, and so does the last use"
    assert place.found("pip-9", "pip-", own_key=True) is None


def test_the_last_that_ends_wins(place: Place) -> None:
    place.share("pip-1", b"first")
    place.share("pip-1", b"second")
    assert (place.content("pip-1"), place.keys()) == (b"second", ["pip-1"])


def test_workers_that_share_at_once_leave_one_whole_copy_of_each_key(place: Place) -> None:
    storages = [place.storage() for _ in range(4)]

    def share(number: int) -> None:
        spool = place.folder / f"spool-{number}"
        storages[number % 4].share("1-a/family", f"key-{number % 2}", 1, [b"%d" % number * 1000], spool)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(share, number) for number in range(12)]:
            each.result()
    assert sorted(place.keys()) == ["key-0", "key-1"]
    for key, numbers in (("key-0", range(0, 12, 2)), ("key-1", range(1, 12, 2))):
        assert place.content(key) in [b"%d" % number * 1000 for number in numbers]


def test_one_that_breaks_off_changes_nothing(place: Place) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("it breaks off")

    place.share("pip-1", b"first")
    with pytest.raises(OSError, match="breaks off"):
        place.storage().share("1-a/family", "pip-1", 1, broken(), place.folder / "spool")
    assert not (place.folder / "spool").exists()
    assert place.content("pip-1") == b"first"
    full = place.storage(limits=replace(NO_LIMITS, disk_low=lambda: True))
    with pytest.raises(OSError, match="the disk of the server is nearly full"):
        full.share("1-a/family", "pip-1", 1, [b"x"], place.folder / "spool")
    assert place.content("pip-1") == b"first"


@pytest.mark.parametrize("bad", [b"", b"no archive", b"half"])
def test_a_damaged_copy_is_an_error_and_forgotten(place: Place, bad: bytes) -> None:
    place.share("pip-1", b"archive" * 1000)
    (name,) = place.blob_names()
    good = b"".join(place.blobs.get(name))
    place.blobs.delete([name])
    place.blobs.put(name, good[: len(good) // 2] if bad == b"half" else bad)
    with pytest.raises(OSError, match="it is damaged or gone, and is forgotten"):
        place.content("pip-1")
    assert place.keys() == []


def test_a_copy_whose_blob_is_gone_is_forgotten(place: Place) -> None:
    place.share("pip-1", b"archive")
    place.blobs.delete(place.blob_names())
    with pytest.raises(OSError, match="it is damaged or gone"):
        place.content("pip-1")
    assert place.keys() == []


def test_the_quota_takes_what_was_not_used_for_longest(place: Place) -> None:
    for key in ("a", "b", "c"):
        place.share(key, key.encode() * 50)
    with reading(place.database) as session:
        each, total = session.execute(select(func.max(SharedCache.size_bytes), func.sum(SharedCache.size_bytes))).one()
    place.later(1000, "a", "b")
    place.later(1000, "a")
    assert place.content("a")  # it is used now
    drop_old_copies(place.database, total)
    assert place.keys() == ["a", "b", "c"]
    drop_old_copies(place.database, total - 1)
    assert place.keys() == ["a", "c"]
    drop_old_copies(place.database, each - 1)
    assert place.keys() == []


def test_a_cache_that_is_larger_than_all_may_be_is_not_shared(place: Place) -> None:
    place.share("a", b"x")
    with reading(place.database) as session:
        size_bytes = session.scalars(select(SharedCache.size_bytes)).one()
    place.share("b", b"y", bytes_max=size_bytes)
    assert place.keys() == ["b"]
    with pytest.raises(OSError, match=r"larger than all may be \(\d+ bytes, HEADWAY_SHARED_CACHE_BYTES_MAX"):
        place.share("c", b"z", bytes_max=size_bytes - 1)
    assert place.keys() == ["b"]


def test_a_repository_has_so_many_copies_at_most(place: Place) -> None:
    place.share("first", b"x")
    with transaction(place.database) as session:
        row = session.scalars(select(SharedCache)).one()
        copy = {
            name: getattr(row, name) for name in ("blob_key", "sha256", "size_bytes", "archive_bytes", "kept_bytes")
        }
        for number in range(rows.COPIES_OF_A_REPOSITORY_MAX - 1):
            assert rows.put_shared_cache(session, place.repo_id, "1-a/family", f"k{number}", copy)
        assert rows.trim_shared_caches(session, BYTES_MAX) == 0
        assert rows.put_shared_cache(session, place.repo_id, "1-a/family", "last", copy)
        assert rows.trim_shared_caches(session, BYTES_MAX) == 1
    assert len(place.keys()) == rows.COPIES_OF_A_REPOSITORY_MAX
    assert place.content("first") == b""


def test_copies_that_are_not_used_for_a_month_go(place: Place) -> None:
    place.share("old", b"x")
    place.share("new", b"y")
    place.later(rows.IDLE_DAYS_MAX * DAY_MS - 60_000, "old")
    drop_old_copies(place.database, BYTES_MAX)
    assert place.keys() == ["old", "new"]
    place.later(60_000, "old")
    drop_old_copies(place.database, BYTES_MAX)
    assert place.keys() == ["new"]


def test_blobs_of_copies_stay_and_those_of_dropped_ones_are_deleted(place: Place) -> None:
    place.share("a", b"x")
    place.share("b", b"y")
    with transaction(place.database) as session:
        for run in session.scalars(select(Run)):
            for job_id in session.scalars(select(Job.id).where(Job.run_id == run.id)):
                store.finish_job(session, job_id, 1, PASSED)
            session.delete(run)
    place.later(HOUR_MS)
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert len(place.blob_names()) == 2, "they are not of a run"
    with transaction(place.database) as session:
        rows.forget_shared_cache(session, session.scalars(select(SharedCache.blob_key).limit(1)).one())
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert len(place.blob_names()) == 1
    with transaction(place.database) as session:
        session.delete(store.repo_by_id(session, place.repo_id))
    assert delete_unused_artifacts(place.database, place.blobs) == ""
    assert place.blob_names() == place.keys() == []


def test_a_database_that_is_away_is_an_error_of_the_cache_alone(place: Place, tmp_path: Path) -> None:
    away = make_engine(f"sqlite:///{tmp_path}/none/headway.db")
    artifacts = StoredArtifacts(away, place.blobs, leases.Claim(1, 1, 1, None, "k"), place.repo_id)
    storage = SharedCacheStorage(away, place.blobs, artifacts, place.repo_id, BYTES_MAX, patience_s=0)
    with pytest.raises(OSError, match="the database does not answer"):
        storage.find(wanted("pip-1"), own_key=True)
    with pytest.raises(OSError, match="the database does not answer"):
        storage.share("p", "pip-1", 1, [b"x"], tmp_path / "spool")
    assert not (tmp_path / "spool").exists()


def test_a_blob_that_was_dropped_meanwhile_is_no_copy(place: Place) -> None:
    place.share("a", b"x")
    with transaction(place.database) as session:
        session.execute(update(ArtifactBlob).values(dropped_ms=1))
        key = session.scalars(select(ArtifactBlob.key)).one()
        assert not rows.put_shared_cache(session, place.repo_id, "p", "b", {"blob_key": key})
    assert place.keys() == ["a"]
