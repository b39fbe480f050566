"""What is kept of failed jobs: its record on the disk, which of a job's containers it is, and how long it stays."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.state import PASSED, Outcome, Reason, State
from runner.cleanup.leftovers import JobLeftovers
from runner.cli.shell.keeping import due, remove_due
from runner.cli.shell.kept_failure import KeptFailure, KeptFailures, read_kept
from runner.execution.job.set_aside import FailedContainer, SetAside

KEPT = KeptFailure(
    repository="/src/app", title="test", step="unit", container="c1", preparation="cd /x\n",
    secret_files=("/run/secrets/key",), key="local-1-1", folder="/tmp/headway-local-1-1",
    image_names=("a:b",), services=("s1", "s2"), grace_s=1.5, until_s=100.0,
)  # fmt: skip
FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)


def test_a_record_is_read_as_it_was_written_and_by_this_user_alone(tmp_path: Path) -> None:
    failures = KeptFailures(tmp_path / "kept")
    assert failures.all() == []
    path = failures.add(KEPT)
    assert failures.of("/src/app") == KEPT
    assert failures.of("/src/other") is None
    assert failures.all() == [KEPT]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_one_is_kept_for_a_folder_and_only_that_one_is_forgotten(tmp_path: Path) -> None:
    failures, newer = KeptFailures(tmp_path), replace(KEPT, key="local-2-1")
    failures.add(KEPT)
    failures.add(newer)
    failures.forget(KEPT)
    assert failures.all() == [newer]
    failures.lock(newer.repository).touch()
    failures.forget(newer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"secret_files": 1}', '{"grace_s": "x"}', "null"])
def test_a_record_of_another_form_is_none(tmp_path: Path, text: str) -> None:
    failures = KeptFailures(tmp_path)
    path = failures.add(KEPT)
    path.write_text(text)
    assert read_kept(path) is None
    assert failures.all() == []
    path.write_text(json.dumps({"more": 1, "secret_files": [], "image_names": [], "services": []}))
    assert failures.of(KEPT.repository) is None


def test_a_run_removes_what_is_kept_of_its_folder_and_what_is_too_old(tmp_path: Path) -> None:
    other = replace(KEPT, repository="/src/other", until_s=101.0)
    assert due([KEPT, other], "/src/app", 50) == [KEPT]
    assert due([KEPT, other], "/", 100) == [KEPT]
    assert due([KEPT, other], "/", 99.9) == []
    failures, removed = KeptFailures(tmp_path), list[JobLeftovers]()
    failures.add(KEPT)
    failures.add(replace(other, until_s=time.time() + 3600))
    remove_due(failures, "/src/app", removed.append)
    assert removed == [JobLeftovers("local-1-1", Path(KEPT.folder), ("a:b",), ("s1", "s2"), 1.5)]
    assert [each.repository for each in failures.all()] == ["/src/other"]


def test_of_each_failed_step_the_container_of_its_last_attempt_is_set_aside() -> None:
    first, second, other = (FailedContainer(step, name, "") for step, name in (("a", "1"), ("a", "2"), ("b", "3")))
    jobs = SetAside()
    assert jobs.ended(first, FAILED) == []
    assert jobs.ended(second, FAILED) == ["1"]
    assert jobs.ended(other, FAILED) == []
    jobs.choose(["built", "b", "a"])
    assert jobs.chosen == other
    jobs.choose(["built"])
    assert jobs.chosen is None


def test_what_passes_at_last_is_not_set_aside() -> None:
    jobs = SetAside()
    assert jobs.ended(FailedContainer("a", "1", ""), FAILED) == []
    assert jobs.ended(FailedContainer("a", "2", ""), PASSED) == ["1", "2"]
    jobs.choose(["a"])
    assert jobs.chosen is None
