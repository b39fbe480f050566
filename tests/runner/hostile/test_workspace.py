"""What a step leaves in its checkout harms neither the worker, which reads there, nor the cleanup."""

import itertools
import os
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import build, container, push, shell

pytestmark = pytest.mark.engine

PYTHON = "python:3.13-slim"
ZOO = {
    "pipe": "mkfifo pipe",
    "devices": "mknod zero c 1 5 || true; mknod disk b 8 0 || true",
    "links": "ln -s / root; ln -s loop loop; ln -s /proc/self/fd/0 input; ln -s gone dangling",
    "hard links": "echo x >one; for i in $(seq 500); do ln one two$i; done",
    "rights": "cp /bin/busybox suid; chmod 6777 suid; mkdir no other; touch no/x; chmod 0 no; chmod 1000 other",
    "owners": "touch theirs; chown 4000000000:4000000000 theirs || true; mkdir them; chown 65534 them",
    "names": "touch \"$(printf 'new\\nline')\" -- -rf ' ' \"$(printf '%0255d' 0)\" '*' '$(x)'",
    "names that are not UTF-8": "touch \"$(printf 'bad\\377')\"; mkdir \"$(printf '\\200')\"",
    "not writable": "mkdir ro; touch ro/x; chmod 555 ro; chmod 555 .; chmod 555 ..",
    "a large hole": "truncate -s 1099511627776 hole",
}  # fmt: skip


def check_cleaned_up(ran: JobRunner, job: JobResult) -> None:
    """Also done after each test; here it says which step it was."""
    assert ran.left() == []
    assert job.complaints == []


@pytest.mark.parametrize("what", ZOO)
def test_whatever_a_step_leaves_is_removed(ran: JobRunner, what: str) -> None:
    job = ran(shell(ZOO[what]))
    assert job.outcome.state is State.PASSED, job.everything()
    check_cleaned_up(ran, job)


def test_a_build_of_odd_files_ends_with_a_verdict(ran: JobRunner) -> None:
    left_out = {"a large hole", "not writable", "names that are not UTF-8"}
    if os.geteuid() != 0:
        left_out.add("rights")  # its build client may not read a folder without rights
    odd = [text for what, text in ZOO.items() if what not in left_out]
    sock = "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
    job = ran(
        shell("mkdir zoo; cd zoo", *odd),
        shell(f'cd zoo; python3 -c "{sock}"', box=container(PYTHON)),
        build(dockerfile_inline="FROM busybox\nCOPY zoo /zoo\n"),
        shell("readlink /zoo/root", "test ! -p /zoo/pipe || echo pipe", box=container(3)),
        files={"x": ""},
    )
    # BuildKit before Docker 23 leaves pipes out.
    assert job.said(4) == (["/", "pipe"] if ran.has_current_buildkit else ["/"]), job.everything()


def test_a_name_that_is_not_utf8_is_built_or_told_of(ran: JobRunner) -> None:
    """A BuildKit of Docker 28 or newer refuses it; an older one builds it, and needs no .dockerignore."""
    step, copy = shell("mkdir a; touch a/here \"$(printf 'a/bad\\377')\""), "FROM busybox\nCOPY a /a\n"
    job = ran(step, build(dockerfile_inline=copy), shell("ls /a/here", box=container(2)), files={"x": ""})
    if job.outcome.state is State.PASSED:
        return
    assert "a file name that is not UTF-8, a/bad\\xff, which this BuildKit does not take" in job.step(2).message
    ignored = {"Dockerfile": copy, ".dockerignore": "a/bad*\n"}
    job = ran(step, build(), shell("ls /a/here", box=container(2)), files=ignored)
    assert job.said(3) == ["/a/here"], job.everything()


def test_a_file_that_says_what_a_build_does_and_is_none_ends_it_at_once(ran: JobRunner) -> None:
    """None is endless here: without the check, the engine would read an endless one into its memory."""
    makes = ("mkfifo", "mkdir", "ln -s /dev/null", "device", "truncate -s 2097152")
    names = ("Dockerfile", ".dockerignore", "Dockerfile.dockerignore")
    cases = {f"c{number}": case for number, case in enumerate(itertools.product(makes, names))}
    device = 'device() { mknod "$1" c 1 3 || mkfifo "$1"; }'
    made = [f"rm -rf {place}/{name}; {make} {place}/{name}" for place, (make, name) in cases.items()]
    job = ran(
        shell(device, *made),
        *(
            build(context=place, dockerfile=f"{place}/Dockerfile", failure="ignore", needs=(1,), timeout_s=20)
            for place in cases
        ),
        files={f"{place}/Dockerfile": "FROM busybox\n" for place in cases},
    )
    for number, case in enumerate(cases.values(), start=2):
        assert (job.step(number).state, job.step(number).reason) == (State.FAILED, Reason.BUILD_FAILED), case


@pytest.mark.parametrize("depth", [900, 3000])
def test_folders_inside_each_other_by_the_thousand_are_removed(ran: JobRunner, depth: int) -> None:
    dig = f"import os\nfor _ in range({depth}):\n    os.mkdir('d')\n    os.chdir('d')\n"
    job = ran(shell("python3 dig.py", box=container(PYTHON)), files={"dig.py": dig})
    assert job.outcome.state is State.PASSED
    check_cleaned_up(ran, job)


def test_twenty_thousand_files_are_removed(ran: JobRunner) -> None:
    touch = "for i in $(seq 20); do mkdir $i; (cd $i; seq 1000 | xargs touch); done"
    job = ran(shell(touch))
    assert job.outcome.state is State.PASSED
    check_cleaned_up(ran, job)


@pytest.fixture
def secret_place(tmp_path: Path) -> Path:
    """A folder of the worker that no step sees, with a file that could be a tag, and one that could be built."""
    place = tmp_path / "worker"
    place.mkdir()
    (place / "tags").write_text("top-secret")
    (place / "Dockerfile").write_text("FROM busybox\nCOPY tags /stolen\n")
    return place


SWAPS = {
    "the checkout": "cd ..; mv src gone; ln -s {0} src",
    "a folder": "rm -rf out; ln -s {0} out",
    "the file": "mkdir -p out; ln -sf {0}/tags out/tags; ln -sf {0}/Dockerfile out/Dockerfile",
    "a folder above": "cd ..; rm -rf src; ln -s {0} above; ln -s above src",
}


@pytest.mark.parametrize("swap", SWAPS)
def test_neither_tags_nor_builds_are_of_the_workers_files(ran: JobRunner, secret_place: Path, swap: str) -> None:
    job = ran(
        build(dockerfile_inline="FROM busybox\n"),
        shell(SWAPS[swap].format(secret_place), box=container(directory="/headway/src")),
        push(1, "registry.test/app", tags=(), tags_file="tags", failure="ignore"),
        push(1, "registry.test/app", tags=(), tags_file="out/tags", failure="ignore"),
        build(context=".", timeout_s=60, failure="ignore"),
        build(context="out", dockerfile="out/Dockerfile", timeout_s=60, failure="ignore"),
        files={"x": ""}, options=Options(push=False),
    )  # fmt: skip
    assert [job.step(number).reason for number in (3, 4)] == [Reason.PUSH_REFUSED] * 2, job.everything()
    assert [job.step(number).state for number in (5, 6)] == [State.FAILED] * 2, job.everything()
    assert "top-secret" not in job.everything()


def test_a_tags_file_that_is_none_ends_the_push_at_once(ran: JobRunner) -> None:
    makes = ("mkfifo tags1", "mknod tags2 c 1 5 || mkfifo tags2", "mkdir tags3")
    kinds = range(1, 1 + len(makes))
    pushes = (push(1, "registry.test/app", tags=(), tags_file=f"tags{kind}", failure="ignore") for kind in kinds)
    job = ran(
        build(dockerfile_inline="FROM busybox\n"), shell(*makes), *pushes,
        files={"x": ""}, options=Options(push=False),
    )  # fmt: skip
    assert all("it is no ordinary file" in job.step(2 + kind).message for kind in kinds), job.everything()


def test_the_next_step_starts_in_a_checkout_that_was_taken_away(ran: JobRunner) -> None:
    job = ran(shell("rm -rf /headway/src; ln -s /proc/1/root /headway/src"), shell("pwd; ls | head -1"))
    assert job.outcome.state is State.PASSED
    assert job.said(2)[0] == "/headway/src"
