"""The journal says what was decided, survives a death in mid-line, and counts only until the machine starts again."""

import json
import os
from pathlib import Path

import pytest

from runner.execution.job.journal import FORMAT, JOURNAL_BYTES_MAX, Journal, OpenedContainer, read_journal

OPENED = OpenedContainer("c1", "token", None, "sha256:a", 12.5)


def written(path: Path) -> Journal:
    journal = Journal(path)
    journal.began(100, 5000.5, "print")
    journal.image(("busybox", "latest", frozenset({2, 1})), "sha256:b")
    journal.service("db", "c0")
    journal.prepared((1000, True))
    return journal


def test_what_is_written_is_read(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal")
    journal.begun(1)
    journal.built(1, "sha256:c")
    journal.named(1, iter(["roof", "roof:1"]), "sha256:c")
    journal.untag("roof")
    journal.opened(2, OPENED, (None, False))
    journal.canceled("ada")
    found = read_journal(tmp_path / "journal")
    assert found is not None
    assert (found.started_s, found.deadline, found.fingerprint) == (100, 5000.5, "print")
    assert (found.services, found.built, found.untag) == ({"db": "c0"}, {1: "sha256:c"}, ["roof"])
    assert found.named == [(1, ("roof", "roof:1"), "sha256:c")]
    assert found.images == {("busybox", "latest", frozenset({1, 2})): "sha256:b"}
    assert (found.opened, found.owner, found.canceled_by) == ({2: OPENED}, (None, False), "ada")
    assert sorted(found.begun) == [1, 2]
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


def test_a_build_that_is_done_again_keeps_its_start_and_a_container_that_is_opened_again_does_not(
    tmp_path: Path,
) -> None:
    journal = written(tmp_path / "journal")
    for _ in range(2):
        journal.begun(1)
        journal.opened(2, OPENED, (None, False))
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    (first, again), (opened, reopened) = ([line["at"] for line in lines if line.get("step") == n] for n in (1, 2))
    found = read_journal(tmp_path / "journal")
    assert found is not None
    assert found.begun == {1: first, 2: reopened}
    assert first < again
    assert opened < reopened


def test_a_line_that_is_only_half_there_did_not_happen(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path).untag("whole")
    size = path.stat().st_size
    Journal(path).untag("half")
    os.truncate(path, path.stat().st_size - 1)
    found = read_journal(path)
    assert found is not None
    assert found.untag == ["whole"]
    assert path.stat().st_size == size


@pytest.mark.parametrize(
    "change",
    [
        {"boot": "another"}, {"format": FORMAT + 1}, {"is": "unknown", "step": 1}, {"deadline": None}, {"is": "opened"},
    ],
)  # fmt: skip
def test_a_journal_of_before_a_restart_of_the_machine_or_that_is_not_understood_is_not_used(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "journal"
    written(path)
    assert read_journal(path) is not None
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest, ""]))
    assert read_journal(path) is None


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n", b"{}\n", b"\xff\n", b"null\n", b'{"is": "began"}\n'])
def test_what_is_no_journal_is_not_used(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "journal").write_bytes(data)
    assert read_journal(tmp_path / "journal") is None


def test_without_the_source_or_without_a_file_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").began(1, 2)
    assert read_journal(tmp_path / "journal") is None
    assert read_journal(tmp_path / "none") is None


def test_the_limit_of_a_journal_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path)
    line = json.dumps({"is": "untag", "name": ""}) + "\n"
    room = JOURNAL_BYTES_MAX - path.stat().st_size - len(line)
    Journal(path).untag("x" * room)
    assert path.stat().st_size == JOURNAL_BYTES_MAX
    assert read_journal(path) is not None
    os.truncate(path, JOURNAL_BYTES_MAX + 1)
    assert read_journal(path) is None


def test_where_a_fact_cannot_be_written_the_whole_journal_goes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path)
    lost = Journal(Path("/dev/full"))
    lost._path = path
    path.unlink()
    path.mkdir()
    lost.untag("x")
    path.rmdir()
    lost.untag("y")
    assert not path.exists()


def test_a_job_without_a_journal_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Journal().began(1, 2)
    assert not list(tmp_path.iterdir())
