"""Artifacts of steps on the engine: from the checkout, from a container, and back in the next job."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import Artifacts
from pipelines.state import Outcome, Reason, State
from runner.artifacts.files import ArtifactLimits
from runner.cli.run.artifacts import JobArtifacts, LocalArtifacts
from runner.events import Stream
from runner.execution.job.options import Options
from tests.support.builders import job_plan
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, build, container, plugin, shell

pytestmark = pytest.mark.engine

IN_WORKDIR = f"FROM {BUSYBOX}\nWORKDIR /app\nRUN echo old > old.txt\n"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[LocalArtifacts]:
    with LocalArtifacts(tmp_path / "cache") as run:
        yield run


def of(run: LocalArtifacts, name: str = "build", number: int = 1) -> JobArtifacts:
    return run.of(job_plan(name, number))


def asked(*paths: str, **keys: object) -> Artifacts:
    return Artifacts.model_validate({"name": "results", "paths": paths, **keys})


def contents(run: LocalArtifacts) -> dict[str, bytes]:
    return {file.path: Path(file.key).read_bytes() for file in run.all()}


def notes(job: JobResult, step: int = 1) -> list[str]:
    return job.log(step, Stream.NOTE).decode().splitlines()


def test_a_step_keeps_files_of_its_checkout(ran: JobRunner, kept: LocalArtifacts) -> None:
    step = shell(
        "mkdir -p dist && echo x > dist/x && echo s > s.xml && chmod 755 dist/x", artifacts=asked("dist", "*.xml")
    )
    job = ran(step, artifacts=of(kept))
    assert job.outcome == Outcome(State.PASSED, exit_code=0)
    assert contents(kept) == {"dist/x": b"x\n", "s.xml": b"s\n"}
    assert {file.path for file in kept.all() if file.executable} == {"dist/x"}
    assert notes(job) == ["headway: kept 2 files as artifacts (4 bytes)"]


def test_patterns_are_relative_to_where_the_step_starts(ran: JobRunner, kept: LocalArtifacts) -> None:
    box = container(directory="/headway/src/web")
    ran(shell("echo x > r.xml", box=box, artifacts=asked("r.xml")), files={"web/a": ""}, artifacts=of(kept))
    assert contents(kept) == {"web/r.xml": b"x\n"}


def test_a_step_in_the_image_just_built_keeps_files_of_its_workdir(ran: JobRunner, kept: LocalArtifacts) -> None:
    step = shell(
        "pwd", "mkdir -p out/deep", "echo r > report.xml", "echo d > out/deep/d", "ln -s /etc/passwd out/link",
        box=container(1), artifacts=asked("report.xml", "out", "old.txt", "none.xml"),
    )  # fmt: skip
    job = ran(build(), step, files={"Dockerfile": IN_WORKDIR}, artifacts=of(kept))
    assert job.outcome.state is State.PASSED
    assert contents(kept) == {"report.xml": b"r\n", "out/deep/d": b"d\n", "old.txt": b"old\n"}
    assert notes(job, 2)[-3:] == [
        "headway: warning: not kept: 'out/link': it is a link, and links are not kept; copy what it leads to",
        "headway: warning: no file matches 'none.xml', so that it keeps no artifact",
        "headway: kept 3 files as artifacts (8 bytes)",
    ]


def test_patterns_may_look_into_the_whole_workdir(ran: JobRunner, kept: LocalArtifacts) -> None:
    step = shell("echo r > r.xml", box=container(1), artifacts=asked("*.xml"))
    ran(build(), step, files={"Dockerfile": IN_WORKDIR}, artifacts=of(kept))
    assert contents(kept) == {"r.xml": b"r\n"}


def test_a_folder_elsewhere_in_the_container_is_read_there(ran: JobRunner, kept: LocalArtifacts) -> None:
    ran(shell("echo x > /tmp/t.txt", box=container(directory="/tmp"), artifacts=asked("t.txt")), artifacts=of(kept))
    assert contents(kept) == {"t.txt": b"x\n"}


def test_a_plugin_keeps_files(ran: JobRunner, kept: LocalArtifacts) -> None:
    box = container(entrypoint=("/bin/sh", "-c", "echo p > p.txt"))
    ran(plugin(box, artifacts=asked("p.txt")), artifacts=of(kept))
    assert contents(kept) == {"p.txt": b"p\n"}


def test_files_that_only_their_owner_may_read_are_kept(ran: JobRunner, kept: LocalArtifacts) -> None:
    step = shell(
        "mkdir -m 700 o && echo x > o/x && chmod 600 o/x", box=container(user="1234:1234"), artifacts=asked("o")
    )
    ran(step, artifacts=of(kept))
    assert contents(kept) == {"o/x": b"x\n"}


@pytest.mark.parametrize(
    ("when", "code", "files"),
    [("success", 0, 1), ("success", 1, 0), ("failure", 0, 0), ("failure", 1, 1), ("always", 0, 1), ("always", 1, 1)],
)
def test_when_says_after_which_end(ran: JobRunner, kept: LocalArtifacts, when: str, code: int, files: int) -> None:
    job = ran(shell("echo x > x", f"exit {code}", artifacts=asked("x", when=when)), artifacts=of(kept))
    assert (job.step().exit_code, len(kept.all())) == (code, files)


def test_a_step_that_would_keep_too_much_fails(ran: JobRunner, kept: LocalArtifacts) -> None:
    options = Options(grace_s=1, artifacts=ArtifactLimits(bytes_max=2, files_max=2))
    job = ran(shell("echo xx > x", artifacts=asked("x")), artifacts=of(kept), options=options)
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.ARTIFACTS_REFUSED)
    assert "its artifacts are not kept: they have more than 2 bytes" in job.step().message
    assert kept.all() == []
    failed = ran(shell("echo xx > x; exit 7", artifacts=asked("x", when="always")), artifacts=of(kept), options=options)
    assert failed.step().reason is Reason.EXIT_CODE, "its own end counts"
    assert "their artifacts" not in failed.step().message
    assert any("they have more than 2 bytes" in note for note in notes(failed))


def test_a_pattern_that_matches_nothing_is_a_warning(ran: JobRunner, kept: LocalArtifacts) -> None:
    job = ran(shell("true", artifacts=asked("none/**")), artifacts=of(kept))
    assert job.step().state is State.PASSED
    assert notes(job) == ["headway: warning: no file matches 'none/**', so that it keeps no artifact"]


def test_the_next_job_has_them_before_its_first_step(ran: JobRunner, kept: LocalArtifacts) -> None:
    make = shell(
        "mkdir bin && printf '#!/bin/sh\\necho it runs\\n' > bin/app && chmod +x bin/app", artifacts=asked("bin")
    )
    ran(make, artifacts=of(kept))
    deploy = of(kept, "deploy", 2)
    job = ran(shell("./bin/app", "echo more >> bin/app"), artifacts=deploy, restored_from=("build",))
    assert job.said() == ["it runs"]
    assert "restored 1 artifact of build" in job.notes
    other = ran(shell("ls bin || echo none"), artifacts=deploy)
    assert other.said()[-1] == "none"


def test_a_link_of_the_repository_stops_the_job_before_its_first_step(
    ran: JobRunner, kept: LocalArtifacts, tmp_path: Path
) -> None:
    ran(shell("mkdir bin && echo x > bin/app", artifacts=asked("bin")), artifacts=of(kept))
    (tmp_path / "outside").mkdir()

    def with_link(target: Path) -> None:
        target.mkdir(parents=True)
        (target / "bin").symlink_to(tmp_path / "outside")

    job = ran(shell("true"), files=with_link, artifacts=of(kept, "deploy", 2), restored_from=("build",))
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.ARTIFACTS_REFUSED)
    assert job.states == [State.SKIPPED]
    assert list((tmp_path / "outside").iterdir()) == []


SWAPPED = {
    "the checkout": "cd ..; mv src gone; ln -s {0} src",
    "a folder above": "cd ..; rm -rf src; ln -s {0} above; ln -s above src",
}


@pytest.mark.parametrize("swap", SWAPPED)
def test_a_checkout_that_a_step_replaces_by_a_link_gives_no_file_of_the_worker(
    ran: JobRunner, kept: LocalArtifacts, tmp_path: Path, swap: str
) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker/secret.key").write_text("of the worker")
    replace = SWAPPED[swap].format(tmp_path / "worker")
    step = shell(replace, box=container(directory="/headway/src"), artifacts=asked("secret.key", "*"))
    job = ran(step, files={"x": ""}, artifacts=of(kept))
    assert contents(kept) == {}
    assert job.step(1).reason is Reason.ARTIFACTS_REFUSED, job.everything()
    assert "leads through a link" in job.step(1).message
