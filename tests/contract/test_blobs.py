"""The contract of blob stores: one suite over a folder and a bucket."""

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.errors import StepError
from workers.blobs import (
    BlobDamagedError,
    BlobExistsError,
    BlobMissingError,
    BlobStore,
    LocalBlobs,
    StoredBlob,
    open_blobs,
)
from workers.settings import Settings

MIB = 1024**2


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """Each kind of store."""
    url = str(request.getfixturevalue("bucket_url")) if request.param == "bucket" else ""
    return open_blobs(Settings(data_dir=tmp_path, blob_url=url))


def stored(data: bytes) -> StoredBlob:
    return StoredBlob(len(data), hashlib.sha256(data).hexdigest())


def whole(blobs: BlobStore, name: str, expected: StoredBlob | None = None) -> bytes:
    return b"".join(blobs.get(name, expected))


@pytest.mark.parametrize("data", [b"", b"x", b"a\0b" * 1000])
def test_what_was_put_is_read_with_its_size_and_checksum(blobs: BlobStore, data: bytes) -> None:
    assert blobs.put("a/b.zst", data) == stored(data)
    assert whole(blobs, "a/b.zst", stored(data)) == data


def test_a_stream_may_be_empty(blobs: BlobStore) -> None:
    assert blobs.put("empty", iter(())) == stored(b"")
    assert whole(blobs, "empty", stored(b"")) == b""


@pytest.mark.parametrize("size_bytes", [10, 12 * MIB])
def test_a_stream_that_fails_leaves_no_blob_and_its_error_is_the_callers(blobs: BlobStore, size_bytes: int) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * size_bytes
        raise StepError(Reason.ARTIFACTS_REFUSED, "it is gone")

    with pytest.raises(StepError, match="it is gone"):
        blobs.put("failed", failing())
    with pytest.raises(BlobMissingError):
        whole(blobs, "failed")


def test_ranges_are_read_and_end_at_the_end(blobs: BlobStore) -> None:
    blobs.put("r", b"0123456789")
    assert [blobs.read("r", *at) for at in ((0, 3), (4, 2), (8, 99), (3, 0))] == [b"012", b"45", b"89", b""]


def test_a_blob_that_exists_is_never_overwritten(blobs: BlobStore) -> None:
    blobs.put("once", b"first")
    with pytest.raises(BlobExistsError, match="There is a blob once already, with other bytes"):
        blobs.put("once", b"other")
    with pytest.raises(BlobExistsError):
        blobs.put("once", iter([b"oth", b"er"]))
    assert whole(blobs, "once") == b"first"


def test_the_same_bytes_may_be_put_again(blobs: BlobStore) -> None:
    assert blobs.put("once", b"first") == blobs.put("once", b"first") == blobs.put("once", iter([b"fi", b"rst"]))


def test_one_of_many_writers_of_a_name_wins(blobs: BlobStore) -> None:
    won: list[bytes] = []

    def put(data: bytes) -> None:
        try:
            blobs.put("race", data)
        except BlobExistsError:
            return
        won.append(data)

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [whole(blobs, "race")]


def test_a_stream_of_many_parts_is_stored(blobs: BlobStore) -> None:
    data = random.Random(1).randbytes(20 * MIB)
    pieces: Iterator[bytes] = (data[at : at + MIB] for at in range(0, len(data), MIB))
    assert blobs.put("big", pieces) == stored(data)
    assert whole(blobs, "big", stored(data)) == data
    assert blobs.read("big", 19 * MIB, 10) == data[19 * MIB : 19 * MIB + 10]


def test_a_stream_that_fails_leaves_no_blob(blobs: BlobStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 9 * MIB
        raise KeyError("the source is gone")

    with pytest.raises(KeyError):
        blobs.put("torn", pieces())
    with pytest.raises(BlobMissingError):
        blobs.read("torn", 0, 1)
    assert list(blobs.names("torn")) == []


def test_a_missing_blob_is_a_sentence(blobs: BlobStore) -> None:
    with pytest.raises(BlobMissingError, match=r"^The blob no/such is not in \S+$"):
        blobs.read("no/such", 0, 1)
    with pytest.raises(BlobMissingError):
        whole(blobs, "no/such")


def test_other_bytes_than_were_stored_are_damage(blobs: BlobStore) -> None:
    blobs.put("d", b"rotten")
    with pytest.raises(BlobDamagedError, match="The stored blob d is damaged: it has 6 bytes"):
        whole(blobs, "d", stored(b"fresh!"))
    with pytest.raises(BlobDamagedError):
        whole(blobs, "d", StoredBlob(5, stored(b"rotten").sha256))


def test_blobs_are_deleted_one_by_one_and_by_folder(blobs: BlobStore) -> None:
    for name in ("logs/ab/1", "logs/ab/2", "logs/abc/3", "logs/ab/deep/4"):
        blobs.put(name, b"x")
    blobs.delete(["logs/ab/1", "logs/never"])
    assert sorted(blobs.names("logs")) == ["logs/ab/2", "logs/ab/deep/4", "logs/abc/3"]
    blobs.delete_folder("logs/ab")
    blobs.delete_folder("logs/ab")
    assert list(blobs.names("logs")) == ["logs/abc/3"]


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a b", "a\n", "ä"])
def test_a_name_that_could_leave_the_store_is_refused(blobs: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a blob"):
        blobs.put(name, b"x")


def test_a_folder_is_closed_to_other_users(tmp_path: Path) -> None:
    LocalBlobs(tmp_path / "blobs").put("a/b/c", b"x")
    modes = [path.stat().st_mode & 0o077 for path in (tmp_path / "blobs", *(tmp_path / "blobs").rglob("*"))]
    assert modes == [0, 0, 0, 0]
