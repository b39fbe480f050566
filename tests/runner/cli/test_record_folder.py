"""Results of ``headway run`` on the disk: whole or not at all, for a time, and of a limited size."""

import time
from hashlib import sha256
from pathlib import Path

import pytest

from runner.artifacts.files import KeptFile
from runner.cli.run import record_folder
from runner.cli.run.artifacts import read_checked
from runner.cli.run.record_folder import AGE_DAYS_MAX, Draft, RecordFolder
from tests.support.reports import step_reports

DAY_S = 86_400


def draft(key: str, at_s: float | None = None, title: str = "t") -> Draft:
    return Draft(key, title, {"image": "i"}, 2.5, time.time() if at_s is None else at_s)


def kept(folder: Path) -> KeptFile:
    path = folder / "file"
    path.write_bytes(b"bytes")
    return KeptFile("out/file", 5, True, sha256(b"bytes").hexdigest(), str(path), "w")


def test_a_record_comes_back_with_all_that_it_has(tmp_path: Path) -> None:
    records, reports = RecordFolder(tmp_path / "base", "scope"), step_reports()
    records.store(draft("k"), b"log", [kept(tmp_path)], reports)
    for found in (records.read("k"), records.latest("t")):
        assert found is not None
        assert (found.seconds, found.parts, found.reports) == (2.5, {"image": "i"}, reports)
        (file,) = found.files
        assert (file.path, file.executable) == ("out/file", True)
        assert b"".join(read_checked(file)) == b"bytes"
    assert records.read("other") is None
    assert records.latest("other") is None


def test_a_newer_record_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    records = RecordFolder(tmp_path, "scope")
    records.store(draft("k"), b"", [], None)
    records.store(draft("k"), b"newer", [], None)
    records.store(draft("l"), b"", [], None)
    assert (tmp_path / "scope/k/log").read_bytes() == b"newer"
    latest = records.latest("t")
    assert latest is not None
    assert latest.address == "l"


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    records = RecordFolder(tmp_path, "scope")
    records.store(draft("k"), b"", [kept(tmp_path)], None)
    found = records.read("k")
    assert found is not None
    Path(found.files[0].key).write_bytes(b"other")
    with pytest.raises(OSError, match="not what was kept"):
        list(read_checked(found.files[0]))
    (tmp_path / "scope/k/record.json").write_text("{}")
    assert records.read("k") is None


def test_a_record_is_too_old_a_second_past_the_limit(tmp_path: Path) -> None:
    records, now_s = RecordFolder(tmp_path, "scope"), time.time()
    records.store(draft("young", now_s - AGE_DAYS_MAX * DAY_S + 60), b"", [], None)
    records.store(draft("old", now_s - AGE_DAYS_MAX * DAY_S - 1), b"", [], None)
    assert records.read("young") is not None
    assert records.read("old") is None


def test_the_oldest_go_while_all_have_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = RecordFolder(tmp_path, "scope")
    records.store(draft("k"), b"x" * 100, [], None)
    size_bytes = record_folder._size_bytes(tmp_path / "scope/k")
    monkeypatch.setattr(record_folder, "BYTES_MAX", size_bytes)
    records.trim(time.time())
    assert records.read("k") is not None
    monkeypatch.setattr(record_folder, "BYTES_MAX", size_bytes - 1)
    records.trim(time.time())
    assert records.read("k") is None
