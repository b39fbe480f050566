"""A program that may read only what it needs."""

import ctypes
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from pipelines.state import State
from runner.builds.buildkit import Builder
from runner.builds.landlock import confined
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import build, laid_out, shell

_VERSION = (444, None, 0, 1)
needs_landlock = pytest.mark.skipif(
    sys.platform != "linux" or ctypes.CDLL(None).syscall(*_VERSION) <= 0, reason="this kernel has no Landlock"
)


def said(*command: str) -> tuple[str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that may be read, with links that lead out of it, beside one that may not."""
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n")
    (tmp_path / "inside" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "own").symlink_to("file")
    return tmp_path


@needs_landlock
def test_it_reads_what_it_may_and_follows_no_link_out_of_that(place: Path) -> None:
    inside = f"{place}/inside"
    words, complaint = confined(partial(said, "cat", f"{inside}/own", f"{inside}/folder/file"), [inside])
    assert words == "inside\n"
    assert "Permission denied" in complaint
    assert "Permission denied" in confined(partial(said, "ls", f"{inside}/folder/"), [inside])[1]


@needs_landlock
def test_it_reads_nothing_of_the_machines_secrets_and_of_other_programs(place: Path) -> None:
    for path in ("/etc/passwd", "/proc/1/environ", "/proc/self/environ", f"{Path.home()}"):
        assert "Permission denied" in confined(partial(said, "cat", path), [place])[1]


def test_a_file_alone_may_be_allowed_and_what_is_not_there_is_no_fault(place: Path) -> None:
    allowed = (place / "outside" / "file", place / "nonesuch", "")
    assert confined(partial(said, "cat", f"{place}/outside/file"), allowed)[0] == "outside\n"


def test_who_started_it_keeps_all_rights(place: Path) -> None:
    before = threading.active_count()
    confined(partial(said, "true"), ())
    assert said("cat", f"{place}/outside/file")[0] == "outside\n"
    assert threading.active_count() == before


def test_what_starting_it_raises_is_passed_on(place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        confined(partial(said, f"{place}/nonesuch"), [place])


@needs_landlock
@pytest.mark.engine
def test_the_build_client_cannot_read_where_a_link_leads_that_came_after_the_check(ran: JobRunner, place: Path) -> None:
    client = place / "client"
    client.write_text(f"#!/bin/sh\nfor last; do :; done\nln -s {place}/outside $last/late\ncat $last/late/file\n")
    client.chmod(0o755)
    ran.builder = Builder((str(client), "build"), rawjson=False)
    job: JobResult = ran(build(), files=laid_out({"Dockerfile": "FROM busybox\n"}))
    assert "late/file: Permission denied" in job.log().decode()


@pytest.mark.engine
@pytest.mark.parametrize("context", [".", "ssl"])
def test_a_checkout_that_a_step_made_a_link_to_the_machines_files_is_not_built(ran: JobRunner, context: str) -> None:
    swap = shell("cd /headway", "mv src old", "ln -s /etc src")
    job = ran(swap, build(dockerfile_inline="FROM busybox\nCOPY . /all\n", context=context), files={})
    assert job.step(2).state is State.FAILED
    assert "leads out of the repository" in job.step(2).message
