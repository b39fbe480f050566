"""Which blobs artifacts are read for and written to, on both databases: samples that tell contents apart, and seals."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import Engine, select, update

from pipelines.plan import Artifacts
from runner.artifacts.files import FoundFile, KeptFile
from tests.support.builders import job_plan, plan, push
from workers import store
from workers.artifacts.samples import PART_BYTES, SAMPLED_BYTES_MIN, sample_of
from workers.artifacts.seals import Sealing, checked
from workers.artifacts.storage import StoredArtifacts, blob_name
from workers.blobs import BlobDamagedError, LocalBlobs
from workers.db.models import ArtifactBlob
from workers.db.session import reading, transaction
from workers.store.jobs import leases

ASKED = Artifacts(name="results", paths=("**",))
SIZE_BYTES = SAMPLED_BYTES_MIN + 10
CONTENT = bytes(range(250)) * (SIZE_BYTES // 250) + b"x" * (SIZE_BYTES % 250)


def changed(offset: int) -> bytes:
    """The content with another byte at this place."""
    return CONTENT[:offset] + b"\xff" + CONTENT[offset + 1 :]


class CountedBytes(BytesIO):
    """Counts what is read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.bytes_read += len(piece)
        return piece


@dataclass
class Counted:
    """A file of these bytes, and every time that it was opened."""

    content: bytes
    opened: list[CountedBytes] = field(default_factory=list)

    def _open(self) -> BinaryIO:
        self.opened.append(CountedBytes(self.content))
        return self.opened[-1]

    def file(self, path: str = "a") -> FoundFile:
        return FoundFile(path, len(self.content), executable=False, opened=self._open)

    @property
    def bytes_read(self) -> int:
        return sum(each.bytes_read for each in self.opened)


@pytest.fixture
def storage(database: Engine, repo_id: int, tmp_path: Path) -> StoredArtifacts:
    with transaction(database) as session:
        job_id = store.queue_run(session, repo_id, push()).job_id
        claim = leases.claim(session, job_id, "w1", 15)
        assert claim is not None
        store.plan_run(session, job_id, claim.attempt, plan(job_plan("build", 1)))
    return StoredArtifacts(database, LocalBlobs(tmp_path / "blobs"), claim, repo_id)


def kept(storage: StoredArtifacts) -> list[KeptFile]:
    return list(storage.kept_by(["build"]))


@pytest.mark.parametrize("offset", [0, SIZE_BYTES // 2, SIZE_BYTES - 1])
def test_a_large_file_that_looks_different_is_read_once(storage: StoredArtifacts, offset: int) -> None:
    first, second = Counted(CONTENT), Counted(changed(offset))
    storage.keep(1, ASKED, [first.file()])
    storage.keep(2, ASKED, [second.file("b")])
    assert [each.bytes_read for each in (first, second)] == [SIZE_BYTES + 3 * PART_BYTES] * 2
    assert [b"".join(storage.read(each)) for each in kept(storage)] == [CONTENT, changed(offset)]


def test_of_two_new_large_files_of_one_size_neither_is_read_twice(storage: StoredArtifacts) -> None:
    both = [Counted(CONTENT), Counted(changed(0))]
    storage.keep(1, ASKED, [both[0].file("a"), both[1].file("b")])
    assert [each.bytes_read for each in both] == [SIZE_BYTES + 3 * PART_BYTES] * 2


def test_what_looks_the_same_is_compared_as_a_whole(storage: StoredArtifacts, tmp_path: Path) -> None:
    between = PART_BYTES + 1
    storage.keep(1, ASKED, [Counted(CONTENT).file("a"), Counted(changed(between)).file("b")])
    storage.keep(2, ASKED, [Counted(CONTENT).file("c"), Counted(changed(between)).file("d")])
    contents = {each.path: b"".join(storage.read(each)) for each in kept(storage)}
    assert contents == {"a": CONTENT, "b": changed(between), "c": CONTENT, "d": changed(between)}
    assert len(list(LocalBlobs(tmp_path / "blobs").names("artifacts"))) == 2


@pytest.mark.parametrize(("size_bytes", "sampled"), [(SAMPLED_BYTES_MIN - 1, False), (SAMPLED_BYTES_MIN, True)])
def test_only_a_large_file_has_a_sample(size_bytes: int, sampled: bool) -> None:
    counted = Counted(b"x" * size_bytes)
    assert (sample_of(counted.file()) is not None) is sampled
    assert bool(counted.opened) is sampled


def test_a_file_that_has_become_shorter_has_a_sample_all_the_same() -> None:
    shorter = FoundFile("a", SIZE_BYTES, executable=False, opened=lambda: BytesIO(b"x"))
    assert sample_of(shorter) is not None


def test_blobs_that_are_older_than_samples_and_seals_are_used(
    storage: StoredArtifacts, database: Engine, tmp_path: Path
) -> None:
    storage.keep(1, ASKED, [Counted(CONTENT).file("a")])
    with transaction(database) as session:
        session.execute(update(ArtifactBlob).values(sample=None, seal=None))
    storage.keep(2, ASKED, [Counted(CONTENT).file("b")])
    (name,) = LocalBlobs(tmp_path / "blobs").names("artifacts")
    _, again = kept(storage)
    assert b"".join(storage.read(again)) == CONTENT
    (tmp_path / "blobs" / name).write_bytes(changed(5))
    with pytest.raises(BlobDamagedError):
        list(storage.read(again))


def test_every_stored_blob_has_a_seal_of_its_own(storage: StoredArtifacts, database: Engine) -> None:
    storage.keep(1, ASKED, [Counted(CONTENT).file("a"), Counted(changed(0)).file("b"), Counted(b"small").file("c")])
    with reading(database) as session:
        seals = session.scalars(select(ArtifactBlob.seal)).all()
    assert len(seals) == 3
    assert all(seals)
    assert len({(seal or "")[:64] for seal in seals}) == 3


@pytest.mark.parametrize("bad", [changed(SIZE_BYTES // 3), CONTENT[:-1], CONTENT + b"\0"])
def test_a_changed_blob_does_not_come_back(storage: StoredArtifacts, tmp_path: Path, bad: bytes) -> None:
    storage.keep(1, ASKED, [Counted(CONTENT).file()])
    (file,) = kept(storage)
    (tmp_path / "blobs" / blob_name(file.key)).write_bytes(bad)
    with pytest.raises(BlobDamagedError, match="Restore it from a backup"):
        list(storage.read(file))


def test_a_seal_fits_its_bytes_in_any_pieces() -> None:
    sealing = Sealing(iter([b"one", b"", b"two"]))
    assert b"".join(sealing) == b"onetwo"
    seal = sealing.seal()
    pieces: Iterator[bytes] = iter([b"o", b"netwo"])
    assert b"".join(checked("x", seal, pieces)) == b"onetwo"
    with pytest.raises(BlobDamagedError):
        list(checked("x", seal, [b"onetwO"]))
