"""The cleanup process and a kept job, without an engine: that a removal was tried is what it reports as a failure."""

import io
import json
import time
from pathlib import Path

import pytest

from runner.cli.run import cleanup_process


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run_until_the_end(folder: Path, record: Path, until_s: float) -> str:
    """What the process could not remove of the job ``kept``, which it first watches and then leaves as it is."""
    job = {"key": "kept", "folder": str(folder), "image_names": [], "services": [], "grace_s": 0}
    watched: dict[str, object] = {"job": job, "ended": False, "record": "", "until_s": 0}
    sent = (watched, {**watched, "record": str(record), "until_s": until_s})
    cleanup_process.main(io.BytesIO(b"".join(json.dumps(each).encode() + b"\n" for each in sent)))
    return cleanup_process.past_cleanup_failures()


def test_a_kept_job_that_is_too_old_is_removed_with_its_record(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("{}")
    said = run_until_the_end(tmp_path / "job", record, time.time())
    assert said.startswith("something of the job kept could not be removed")
    assert not record.exists()


def test_a_kept_job_without_its_record_is_removed_at_once(tmp_path: Path) -> None:
    until_s = time.time() + 3600
    said = run_until_the_end(tmp_path / "job", tmp_path / "none.json", until_s)
    assert said.startswith("something of the job kept could not be removed")
