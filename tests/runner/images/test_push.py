"""Pushing exactly the image that was tested, to a real registry."""

import threading
from pathlib import Path

import pytest

from pipelines.plan import SecretRef
from pipelines.state import Reason, State
from runner.docker.containers.specs import Login
from runner.events import Event, ImageBuilt
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, image_names
from tests.support.job_result import JobResult
from tests.support.plans import build, container, push, secrets_hex, shell
from tests.support.registry import LOGIN, Registry, free_port, running_registry

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]


def dockerfile(text: str = "") -> dict[str, str]:
    return {"Dockerfile": f"FROM busybox\nRUN echo {text or secrets_hex()} > /name\n"}


def repo(registry: Registry) -> str:
    return f"{registry.host}/team/{secrets_hex()}"


def test_what_was_tested_is_what_is_in_the_registry_under_every_name(ran: JobRunner, registry: Registry) -> None:
    one, two = repo(registry), repo(registry)
    job = ran(
        build(), shell("cat /name", box=container(1)), push(1, one, two, tags=("1.2", "latest")), files=dockerfile()
    )
    assert job.outcome.state is State.PASSED
    image_id = job.built[0].image_id
    names = [(one, "1.2"), (one, "latest"), (two, "1.2"), (two, "latest")]
    assert [(event.repo, event.tag) for event in job.pushed] == names
    for event in job.pushed:
        digest, _ = registry.manifest(event.repo, event.tag)
        assert event.digest == digest
        assert event.image_id == image_id
        assert image_id in registry.ids(event.repo, event.tag)
        assert f"pushed {event.repo}:{event.tag}@{digest}" in job.log(3).decode()


def test_the_registrys_manifest_and_configuration_are_those_of_the_image_that_was_tested(
    ran: JobRunner, registry: Registry
) -> None:
    where = repo(registry)
    files = {"Dockerfile": f"FROM busybox\nENV MARK={secrets_hex()}\nRUN echo {secrets_hex()} > /name\n"}
    layers: list[list[str]] = []

    def look(event: Event) -> None:
        if isinstance(event, ImageBuilt):
            layers.append((ran.engine.image(event.image_id) or {})["RootFS"]["Layers"])

    job = ran(build(), shell('echo "$MARK"', box=container(1)), push(1, where), files=files, on_event=look)
    config = registry.config(where, "latest")
    assert f"MARK={job.said(2)[0]}" in config["config"]["Env"]
    assert [config["rootfs"]["diff_ids"]] == layers
    assert job.pushed[0].digest == registry.manifest(where, "latest")[0]


def test_tags_that_a_step_wrote_are_pushed_too(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    job = ran(
        build(),
        shell("printf '1.2\\nlatest\\n' > .tags", box=container()),
        push(1, where, tags=("latest",), tags_file=".tags"),
        files=dockerfile(),
    )
    assert [event.tag for event in job.pushed] == ["latest", "1.2"]


def test_names_of_the_push_are_taken_off_after_the_job(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    ran(build(), push(1, where), files=dockerfile())
    assert [name for name in image_names(ran.engine) if where in name] == []


def test_a_name_that_another_image_had_goes_back_to_it(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    ran.engine.tag("busybox:latest", where, "latest")
    before = (ran.engine.image("busybox:latest") or {})["Id"]
    ran(build(), push(1, where), files=dockerfile())
    kept = ran.engine.image(f"{where}:latest")
    ran.engine.untag(f"{where}:latest")
    assert kept
    assert kept["Id"] == before


def test_a_failing_test_pushes_nothing(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    job = ran(build(), shell("false", box=container(1)), push(1, where), files=dockerfile())
    assert job.step(3).state is State.SKIPPED
    assert not registry.has(where, "latest")


def test_without_push_it_is_only_shown(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    job = ran(build(), push(1, where, tags=("a", "b")), files=dockerfile(), options=Options(push=False))
    assert job.step(2).state is State.SKIPPED
    assert job.outcome.state is State.PASSED
    for tag in ("a", "b"):
        assert f"would push {job.built[0].image_id} as {where}:{tag}" in job.log(2).decode()
        assert not registry.has(where, tag)


def test_a_registry_that_is_down_is_the_machines_fault(ran: JobRunner) -> None:
    job = ran(build(), push(1, f"127.0.0.1:{free_port()}/a"), files=dockerfile())
    assert (job.step(2).state, job.step(2).reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
    assert job.outcome.state is State.BROKEN


def test_missing_credentials_are_refused_with_the_remedy(ran: JobRunner, locked_registry: Registry) -> None:
    job = ran(build(), push(1, repo(locked_registry)), files=dockerfile())
    assert (job.step(2).state, job.step(2).reason) == (State.FAILED, Reason.PUSH_REFUSED)
    assert f"headway registry login {locked_registry.host}" in job.step(2).message


def test_wrong_credentials_are_refused_and_not_shown(ran: JobRunner, locked_registry: Registry) -> None:
    wrong = {locked_registry.host: Login("ci", "wrong-password")}
    job = ran(build(), push(1, repo(locked_registry)), files=dockerfile(), logins=wrong)
    assert job.step(2).reason is Reason.PUSH_REFUSED
    assert "check the credentials" in job.step(2).message
    assert "wrong-password" not in job.everything()


def test_the_repositorys_credentials_are_used(ran: JobRunner, locked_registry: Registry) -> None:
    where = repo(locked_registry)
    job = ran(build(), push(1, where), files=dockerfile(), logins={locked_registry.host: LOGIN})
    assert job.outcome.state is State.PASSED
    assert job.built[0].image_id in locked_registry.ids(where, "latest")


def test_credentials_of_the_step_come_first(ran: JobRunner, locked_registry: Registry) -> None:
    where = repo(locked_registry)
    step = push(1, where, username=(LOGIN.username,), password=(SecretRef(secret="pw"),))
    job = ran(build(), step, files=dockerfile(), secrets={"pw": LOGIN.password},
              logins={locked_registry.host: Login("ci", "wrong-password")})  # fmt: skip
    assert job.outcome.state is State.PASSED


def test_the_names_that_arrived_are_told_when_others_did_not(ran: JobRunner, registry: Registry) -> None:
    good, bad = repo(registry), f"127.0.0.1:{free_port()}/a"
    job = ran(build(), push(1, good, bad, good + "2"), files=dockerfile())
    assert job.step(2).state is State.BROKEN
    assert "2 of 3 names were pushed" in job.step(2).message
    assert {event.repo for event in job.pushed} == {good, good + "2"}
    assert f"{bad}:latest was not pushed" in job.log(2).decode()


def test_a_name_that_no_registry_takes_is_refused(ran: JobRunner, registry: Registry) -> None:
    job = ran(build(), push(1, f"{registry.host}/Bad Name"), files=dockerfile())
    assert job.step(2).state is State.FAILED
    assert "Bad Name" in job.log(2).decode()
    assert job.pushed == []


def test_a_registry_that_goes_away_and_comes_back_is_completed_by_a_second_run(ran: JobRunner, tmp_path: Path) -> None:
    files = dockerfile()
    with running_registry(tmp_path) as first:
        port = int(first.host.rpartition(":")[2])
        where = repo(first)
    job = ran(build(), push(1, where), files=files)
    assert job.outcome.reason is Reason.REGISTRY_UNREACHABLE
    with running_registry(tmp_path, port=port) as again:
        job = ran(build(), push(1, where), files=files)
        assert job.outcome.state is State.PASSED
        assert job.built[0].image_id in again.ids(where, "latest")


def test_two_jobs_that_push_the_same_name_at_once_each_push_their_own_image(ran: JobRunner, registry: Registry) -> None:
    where = repo(registry)
    jobs: list[JobResult] = []
    files = [dockerfile("one"), dockerfile("two")]
    tags = [f"t{number}" for number in range(12)]

    def go(number: int) -> None:
        jobs.append(ran(build(), push(1, where, tags=tags), files=files[number]))

    threads = [threading.Thread(target=go, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.outcome.state for job in jobs] == [State.PASSED] * 2, "\n".join(job.everything() for job in jobs)
    pushed = [event for job in jobs for event in job.pushed]
    assert len(pushed) == 2 * len(tags)
    for event in pushed:
        assert event.image_id in registry.ids(event.repo, event.digest)
