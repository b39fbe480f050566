"""Nothing of a job is left, and nothing of a step reaches the next: containers that wait, processes, ports, files."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.cancellation import Cancel
from runner.cleanup import borrowed_tags
from runner.cleanup.processes import kill_build_clients
from runner.docker.containers.specs import JOB_LABEL, STEP_LABEL
from runner.errors import StepError
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, eventually, image_id, image_names, to_all, when_said
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, secrets_hex, service, shell

AHEAD = Options(grace_s=0.2, steps_ahead_max=3)


def hold(name: str) -> tuple[str, str]:
    """Commands that say ``up`` and wait until ``let_go`` of the same name."""
    return ("echo up", f"while [ ! -e {name} ]; do sleep 0.05; done")


def in_engine(ran: JobRunner, job: JobResult) -> set[str]:
    """The steps of a job that have a container now."""
    found = ran.engine.containers_labelled(f"{JOB_LABEL}={job.key}")
    return {entry["Labels"][STEP_LABEL] for entry in found if STEP_LABEL in entry["Labels"]}


def let_go(job: JobResult, name: str) -> None:
    """Ends a step that waits by ``hold``."""
    (job.folder / "workspace" / "src" / name).touch()


@pytest.mark.engine
@pytest.mark.both_stores
def test_what_waits_for_its_turn_is_taken_away_as_soon_as_its_turn_cannot_come(ran: JobRunner) -> None:
    job = ran.new()

    def look_before() -> None:
        eventually(lambda: in_engine(ran, job) >= {"2", "3"})
        let_go(job, "before")

    def look_after() -> None:
        eventually(lambda: in_engine(ran, job) == {"4"})
        let_go(job, "after")

    looks = [when_said(b"up", look_before), when_said(b"up", look_after, step=4)]
    cleanup = shell(*hold("after"), on_success=False, on_failure=True)
    done = ran(
        shell(*hold("before"), "false"), shell("echo never"), shell("echo never"), cleanup,
        key=job.key, options=AHEAD, on_event=to_all(looks), timeout_s=60,
    )  # fmt: skip
    assert done.states == [State.FAILED, State.SKIPPED, State.SKIPPED, State.PASSED]


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_step_that_its_condition_leaves_out_is_never_started(ran: JobRunner) -> None:
    found: set[str] = set()
    job = ran.new()

    def look() -> None:
        found.update(eventually(lambda: (now := in_engine(ran, job)) >= {"1", "3"} and now))
        let_go(job, "go")

    done = ran(
        shell(*hold("go")), shell("echo never", on_success=False, on_failure=True), shell("echo after"),
        key=job.key, options=AHEAD, on_event=when_said(b"up", look), timeout_s=60,
    )  # fmt: skip
    assert done.states == [State.PASSED, State.SKIPPED, State.PASSED]
    assert found == {"1", "3"}


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_canceled_job_leaves_no_container_that_waits(ran: JobRunner) -> None:
    cancel = Cancel()
    job = ran.new()

    def look() -> None:
        eventually(lambda: {"1", "2", "3"} <= in_engine(ran, job))
        cancel.set("ada")

    done = ran(
        shell("echo up", "sleep 1000"), shell("echo never"), shell("echo never"),
        key=job.key, options=AHEAD, cancel=cancel, on_event=when_said(b"up", look),
    )  # fmt: skip
    cancel.close()
    assert done.outcome.state is State.CANCELED
    assert ran.left() == []


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_job_that_ends_before_its_first_step_leaves_no_container_that_waits(ran: JobRunner) -> None:
    job = ran.new()

    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        eventually(lambda: {"1", "2"} <= in_engine(ran, job))
        raise StepError(Reason.CLONE_FAILED, "nothing can be laid out")

    done = ran(shell("echo never"), shell("echo never"), key=job.key, options=AHEAD, files=lay_out)
    assert done.outcome.reason is Reason.CLONE_FAILED
    assert done.states == [State.SKIPPED, State.SKIPPED]
    assert ran.left() == []


@pytest.mark.engine
@pytest.mark.both_stores
def test_no_process_and_no_port_of_a_step_is_there_in_the_next(ran: JobRunner) -> None:
    serve = ("ps | grep -c '[s]leep 4321' || true", "httpd -p 8080 -h /tmp", "setsid sleep 4321 &", "sleep 0.1")
    job = ran(*(shell(*serve) for _ in range(4)), options=AHEAD)
    assert job.states == [State.PASSED] * 4, job.everything()
    assert [job.said(step) for step in range(1, 5)] == [["0"]] * 4


@pytest.mark.engine
@pytest.mark.both_stores
def test_only_the_checkout_and_the_folder_around_it_go_from_a_step_to_the_next(ran: JobRunner) -> None:
    places = ("/outside", "/tmp/outside", "/etc/outside", "/root/outside", "/dev/shm/outside", "../beside", "inside")
    touch = " ".join(places)
    look = f"for file in {touch}; do test -e $file && echo $file; done; true"
    job = ran(shell(f"touch {touch}"), shell(look), options=AHEAD)
    assert job.said(2) == ["../beside", "inside"]


@pytest.mark.engine
@pytest.mark.both_stores
def test_the_variables_and_the_shell_of_a_step_are_not_those_of_the_next(ran: JobRunner) -> None:
    job = ran(
        shell("export LEAK=1", "cd /tmp", "alias ls=false", "umask 077", "ulimit -n 64"),
        shell('echo "${LEAK:-none} $PWD $(umask) $(ls / >/dev/null && echo ls)"', "test $(ulimit -n) -gt 64"),
        options=AHEAD,
    )
    assert job.said(2) == ["none /headway/src 0022 ls"]
    assert job.outcome.state is State.PASSED


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_service_sees_no_containers_of_another_job(ran: JobRunner) -> None:
    other = service("db", "sleep 1000")
    job = ran(shell("nslookup db 127.0.0.11 >/dev/null 2>&1 && echo found || echo none"))
    with_service = ran(shell("nslookup db 127.0.0.11 >/dev/null 2>&1 && echo found || echo none"), services=[other])
    assert (job.said(), with_service.said()) == (["none"], ["found"])


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_name_that_was_lent_for_a_push_goes_back_to_its_image(
    ran: JobRunner, given_image: Callable[..., str], tmp_path: Path
) -> None:
    own, others = given_image(f"FROM {BUSYBOX}\nLABEL a={secrets_hex()}\n"), f"headway-test/{secrets_hex()}:1"
    ids = [image_id(ran.engine, name) for name in (own, BUSYBOX)]
    (tmp_path / "scratch").mkdir()
    ran.engine.tag(BUSYBOX, *others.split(":"))
    borrowed = borrowed_tags.borrow_tag(ran.engine, tmp_path, ids[0], others)
    assert borrowed is not None
    assert image_id(ran.engine, others) == ids[0]
    assert (borrowed_tags.image_named(ran.engine, others) or {})["Id"] == ids[1], "what it meant before"
    with (tmp_path / "scratch" / "borrowed-tags").open("a") as notes:
        notes.write('{"name": "half of a li')
    for _ in range(2):
        borrowed_tags.return_borrowed_tags(ran.engine, tmp_path)
        assert image_id(ran.engine, others) == ids[1]
    assert [name for name in image_names(ran.engine) if borrowed.mark in name] == []
    ran.engine.untag(others)


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_name_that_two_pushes_take_goes_back_when_the_last_one_ends(
    ran: JobRunner, given_image: Callable[..., str], tmp_path: Path
) -> None:
    own = [image_id(ran.engine, given_image(f"FROM {BUSYBOX}\nLABEL a={secrets_hex()}\n")) for _ in range(2)]
    name, before = f"headway-test/{secrets_hex()}:1", image_id(ran.engine, BUSYBOX)
    ran.engine.tag(BUSYBOX, *name.split(":"))
    (tmp_path / "scratch").mkdir()
    taken = [borrowed_tags.borrow_tag(ran.engine, tmp_path, each, name) for each in own]
    for borrowed in taken:
        assert (borrowed_tags.image_named(ran.engine, name) or {})["Id"] == before
        assert borrowed is not None
        borrowed_tags.return_borrowed_tag(ran.engine, borrowed)
    assert image_id(ran.engine, name) == before
    ran.engine.untag(name)


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_name_that_belongs_to_no_image_means_none_while_a_push_has_it(
    ran: JobRunner, given_image: Callable[..., str], tmp_path: Path
) -> None:
    own, name = given_image(f"FROM {BUSYBOX}\nLABEL a={secrets_hex()}\n"), f"headway-test/{secrets_hex()}:1"
    (tmp_path / "scratch").mkdir()
    borrowed = borrowed_tags.borrow_tag(ran.engine, tmp_path, image_id(ran.engine, own), name)
    assert ran.engine.image(name)
    assert borrowed_tags.image_named(ran.engine, name) is None
    assert borrowed is not None
    borrowed_tags.return_borrowed_tag(ran.engine, borrowed)
    assert ran.engine.image(name) is None


@pytest.mark.engine
@pytest.mark.both_stores
def test_an_id_is_no_name_of_an_image(ran: JobRunner) -> None:
    whole = image_id(ran.engine, BUSYBOX)
    digits = whole.removeprefix("sha256:")
    for text in (whole, digits, digits[:12], digits[:4]):
        assert borrowed_tags.image_named(ran.engine, text) is None
    for name in (BUSYBOX, "docker.io/library/busybox", "docker.io/busybox:latest", "library/busybox"):
        assert (borrowed_tags.image_named(ran.engine, name) or {})["Id"] == whole


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_name_that_another_image_has_now_is_kept(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image(f"FROM {BUSYBOX}\nLABEL a={secrets_hex()}\n")
    held = image_id(ran.engine, name)
    borrowed_tags.return_borrowed_tag(ran.engine, borrowed_tags.BorrowedTag(name, image_id(ran.engine, BUSYBOX), ""))
    assert image_id(ran.engine, name) == held


def test_what_works_in_a_dead_jobs_folder_is_ended_and_nothing_else(tmp_path: Path) -> None:
    inside = tmp_path / "job-1" / "scratch" / "build-1"
    outside = tmp_path / "job-10" / "scratch"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    orphan, other = (subprocess.Popen(["sleep", "1000"], cwd=folder) for folder in (inside, outside))
    kill_build_clients(tmp_path / "job-1")
    assert orphan.wait(10) == -9
    assert other.poll() is None
    other.kill()
    other.wait()
