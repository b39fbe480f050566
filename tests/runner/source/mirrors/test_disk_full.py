"""A full disk is told as what it is."""

import random
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason, State
from runner.errors import MachineError
from runner.source.mirrors.mirror import Mirror
from tests.support.engine import JobRunner
from tests.support.plans import build, container, shell
from tests.support.repos import Repo

BIG = "0123456789abcdef" * 60_000


def test_a_mirror_that_does_not_fit(repo: Repo, small_disk: Path) -> None:
    sha = repo.commit({"big": random.Random(1).randbytes(900_000)})
    with pytest.raises(MachineError) as full:
        Mirror(small_disk, repo.url).fetch(sha)
    assert full.value.reason is Reason.DISK_FULL
    assert "make room and re-run" in str(full.value)


def test_a_checkout_that_does_not_fit(repo: Repo, mirror: Mirror, small_disk: Path) -> None:
    sha = repo.commit({"big": BIG})
    mirror.fetch(sha)
    with pytest.raises(MachineError) as full:
        mirror.checkout(sha, small_disk / "checkout", Checkout())
    assert full.value.reason is Reason.DISK_FULL


@pytest.mark.engine
def test_a_source_that_does_not_fit_breaks_the_job(ran: JobRunner, small_disk: Path) -> None:
    ran.folder = small_disk
    job = ran(shell("true"), files={"big": BIG})
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.DISK_FULL)
    assert "make room and re-run" in job.outcome.message
    assert job.states == [State.SKIPPED]


@pytest.mark.engine
def test_a_scratch_folder_that_does_not_fit_breaks_the_step(ran: JobRunner, small_disk: Path) -> None:
    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        (target / "fill").write_bytes(b"x" * 280_000)

    ran.folder = small_disk
    job = ran(build(dockerfile_inline="FROM busybox\n# " + BIG), files=lay_out)
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.DISK_FULL)


@pytest.mark.engine
def test_a_step_that_fills_its_own_disk_has_failed_by_itself(ran: JobRunner) -> None:
    job = ran(shell("dd if=/dev/zero of=/small/file bs=1k count=100", box=container(tmpfs=("/small:size=64k",))))
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.EXIT_CODE)
    assert b"No space left on device" in job.log()
