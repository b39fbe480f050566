"""The files of caches are measured without following links, within a limit, and as root where that is needed."""

import os
import time
from pathlib import Path

import pytest

from runner.caches.files import is_empty, measure, measured_as_root
from runner.docker.client import Engine
from runner.errors import StepError
from tests.support.engine import JobRunner

ENGINE = Engine("unix:///none", connect=False)


def nothing() -> None:
    """The job may go on."""


def test_what_takes_up_room_counts(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/data").write_bytes(os.urandom(100_000))
    (tmp_path / "link").symlink_to("/usr")
    size = measure(ENGINE, tmp_path, {}, 0, nothing)
    assert (size.entries, size.changed_bytes) == (3, size.size_bytes)
    assert 100_000 < size.size_bytes < 130_000


def test_only_files_that_have_changed_since_then_count_as_changed(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(os.urandom(50_000))
    since_ns = (tmp_path / "old").stat().st_ctime_ns
    until = time.monotonic() + 30
    while time.monotonic() < until:
        (tmp_path / "new").write_bytes(os.urandom(10_000))
        if (tmp_path / "new").stat().st_ctime_ns > since_ns:
            break
    size = measure(ENGINE, tmp_path, {}, since_ns, nothing)
    assert 10_000 < size.changed_bytes < 50_000 < size.size_bytes


def test_hard_links_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    once = measure(ENGINE, tmp_path, {}, 0, nothing).size_bytes
    os.link(tmp_path / "a", tmp_path / "b")
    assert measure(ENGINE, tmp_path, {}, 0, nothing).size_bytes == once


def test_the_number_of_files_is_limited(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    assert measure(ENGINE, tmp_path, {}, 0, nothing, entries_count_max=2).entries == 2
    (tmp_path / "c").touch()
    with pytest.raises(StepError, match="it has more than 2 files"):
        measure(ENGINE, tmp_path, {}, 0, nothing, entries_count_max=2)


def test_a_folder_is_empty_or_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert is_empty([tmp_path / "a", tmp_path / "b"])
    assert not is_empty([tmp_path / "a", tmp_path])


@pytest.mark.engine
def test_root_measures_what_this_process_may_not_read(ran: JobRunner, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(100_000))
    assert 100_000 < measured_as_root(ran.engine, tmp_path, {}) < 130_000
