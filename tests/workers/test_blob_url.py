"""HEADWAY_BLOB_URL: what it may be, and what is said where it cannot be used."""

import os
import warnings
from pathlib import Path

import pytest

from tests.support.object_store import Door
from workers.blobs import BlobsAwayError, BlobsRefusedError, BlobStore, open_blobs
from workers.errors import StartError
from workers.settings import Settings
from workers.startup import read_settings


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/srv/blobs", "/srv/blobs is no blob store; write s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER"),
        ("http://minio:9000/bucket", "http://minio:9000/bucket is no blob store"),
        ("s3:///prefix", "s3:///prefix names no bucket; write s3://BUCKET/PREFIX"),
        ("s3:bucket", "s3:bucket names no bucket"),
        ("file://folder/logs", "names no folder; write file:///FOLDER, with three slashes"),
        ("file:///", "names no folder"),
        ("s3://key:geheim@bucket/x", "s3://bucket/x has more than a bucket and a prefix; give keys by"),
        ("s3://bucket/x?region=eu", "s3://bucket/x has more than a bucket and a prefix"),
        ("s3://buck et/x", "has a space"),
        ("s3://bucket/../x", "has a part that is no name"),
    ],
)
def test_a_wrong_address_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("HEADWAY_BLOB_URL", url)
    with pytest.raises(StartError) as refused:
        read_settings()
    assert "HEADWAY_BLOB_URL" in str(refused.value)
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_without_an_address_blobs_are_in_the_data_directory(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).blobs_dir == tmp_path / "blobs"
    assert Settings(data_dir=tmp_path, blob_url=f"file://{tmp_path}/a%20b").blobs_dir == tmp_path / "a b"
    assert Settings(data_dir=tmp_path, blob_url="s3://bucket").blobs_dir is None


def blobs_at(url: str) -> BlobStore:
    return open_blobs(Settings(blob_url=url))


def test_a_bucket_that_is_missing_is_refused_and_not_tried_again(bucket_url: str) -> None:
    assert bucket_url
    with pytest.raises(BlobsRefusedError) as refused:
        blobs_at("s3://no-such-bucket/x").put("a", b"x")
    sentence = (
        "The blob store s3://no-such-bucket/x (HEADWAY_BLOB_URL) does not exist: create its bucket, or correct the"
    )
    assert str(refused.value).startswith(sentence)
    with pytest.raises(BlobsRefusedError, match="does not exist"):
        blobs_at("s3://no-such-bucket/x").read("a", 0, 1)


def test_a_store_that_cannot_be_reached_is_away(bucket_url: str, door: Door) -> None:
    door.close()
    with pytest.raises(BlobsAwayError) as away:
        blobs_at(bucket_url).put("a", b"x")
    assert f"The blob store {bucket_url} (HEADWAY_BLOB_URL) does not answer: " in str(away.value)
    assert "AWS_ENDPOINT_URL" in str(away.value)
    assert "\n" not in str(away.value)


def test_a_store_that_is_cut_off_for_a_moment_is_asked_again(bucket_url: str, door: Door) -> None:
    blobs = blobs_at(bucket_url)
    blobs.put("a", b"x")
    door.cut()
    assert blobs.read("a", 0, 1) == b"x"


def test_a_store_that_was_used_before_a_fork_is_an_error_and_does_not_hang(bucket_url: str) -> None:
    blobs = blobs_at(bucket_url)
    blobs.put("a", b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer versions, which say that threads are not forked
        child = os.fork()
    if child == 0:
        try:
            blobs.read("a", 0, 1)
        except RuntimeError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
