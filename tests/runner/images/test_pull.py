"""Where the images of steps come from."""

from collections.abc import Iterator

import pytest

from pipelines.plan import Container, NamedImage
from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.docker.compatibility import CONTAINERD_STORE
from runner.docker.containers.specs import Login
from runner.events import ImagePullChanged
from tests.support.engine import JobRunner
from tests.support.plans import build, container, push, secrets_hex, service, shell
from tests.support.registry import LOGIN, Registry, free_port
from tests.support.registry_images import put_image, untag_matching

pytestmark = pytest.mark.engine


def box(name: str, *, pull: bool = False) -> Container:
    return container(name).model_copy(update={"image": NamedImage(name=name, pull=pull)})


@pytest.fixture
def stored(engine: Engine, registry: Registry) -> Iterator[str]:
    """The name of an image that is in the registry and not in the engine. Its file ``/word`` has the name."""
    name = f"{registry.host}/stored/{secrets_hex()}"
    put_image(engine, name, word=name)
    yield f"{name}:1"
    untag_matching(engine, name)


def test_an_image_that_is_not_here_is_pulled_and_told(ran: JobRunner, stored: str) -> None:
    job = ran(shell("cat /word", box=box(stored)))
    assert job.said() == [stored.removesuffix(":1")]
    assert f"pulling {stored}\n" in job.log().decode()
    assert "Digest: sha256:" in job.log().decode()
    begun, ended = [event for event in job.events if isinstance(event, ImagePullChanged)]
    assert begun == ImagePullChanged(stored)
    assert ended.seconds is not None
    # The containerd store tells every 0.1 s how far its downloads are, and so nothing of a shorter one.
    said = ended.downloaded_bytes > 0 or ran.engine.image_store() == CONTAINERD_STORE
    assert (ended.seconds > 0, said, ended.failed) == (True, True, False)
    again = ran(shell("true", box=box(stored)))
    assert "pulling" not in again.log().decode()
    assert not [event for event in again.events if isinstance(event, ImagePullChanged)]


def test_a_pull_that_fails_is_told_with_its_end(ran: JobRunner, registry: Registry) -> None:
    job = ran(shell("true", box=box(f"{registry.host}/stored/none:1")))
    assert job.step().state is State.FAILED
    *_, begun, ended = [event for event in job.events if isinstance(event, ImagePullChanged)]
    assert (begun.seconds, begun.failed) == (None, False)
    assert (ended.seconds is not None, ended.downloaded_bytes, ended.failed) == (True, 0, True)


def test_an_image_may_be_named_by_its_digest(ran: JobRunner, stored: str, registry: Registry) -> None:
    name = stored.removesuffix(":1")
    digest, _ = registry.manifest(name, "1")
    for written in (f"{name}@{digest}", f"{name}:1@{digest}"):
        job = ran(shell("cat /word", box=box(written)))
        assert job.said() == [name]


def test_the_newest_is_pulled_where_the_step_asks_for_it(ran: JobRunner, stored: str) -> None:
    ran(shell("true", box=box(stored)))
    put_image(ran.engine, stored.removesuffix(":1"), word="newer")
    assert ran(shell("cat /word", box=box(stored))).said() == [stored.removesuffix(":1")]
    assert ran(shell("cat /word", box=box(stored, pull=True))).said() == ["newer"]
    log = ran(shell("true", box=box(stored, pull=True))).log().decode()
    assert f"{stored} is up to date" in log


def test_an_image_that_does_not_exist_is_named(ran: JobRunner, registry: Registry) -> None:
    job = ran(shell("true", box=box(f"{registry.host}/none/such:1")))
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert f"{registry.host}/none/such:1" in job.step().message


def test_a_tag_that_does_not_exist_is_named(ran: JobRunner, stored: str) -> None:
    job = ran(shell("true", box=box(stored.replace(":1", ":nonesuch"))))
    assert job.step().reason is Reason.IMAGE_NOT_FOUND
    assert ":nonesuch" in job.step().message


def test_an_image_behind_a_login_says_how_to_log_in(ran: JobRunner, locked_registry: Registry) -> None:
    job = ran(shell("true", box=box(f"{locked_registry.host}/a")))
    assert job.step().reason is Reason.IMAGE_NOT_FOUND
    assert f"headway registry login {locked_registry.host}" in job.step().message


def test_the_credentials_for_the_host_are_used(ran: JobRunner, locked_registry: Registry) -> None:
    name = f"{locked_registry.host}/stored/{secrets_hex()}"
    logins = {locked_registry.host: LOGIN}
    files = {"Dockerfile": "FROM busybox\n"}
    ran(build(), push(1, name), files=files, logins=logins)
    job = ran(shell("echo here", box=box(name)), build(dockerfile_inline=f"FROM {name}\n", pull=True), logins=logins)
    assert job.outcome.state is State.PASSED, job.outcome
    ran.engine.untag(f"{name}:latest")


def test_wrong_credentials_are_to_be_checked(ran: JobRunner, locked_registry: Registry) -> None:
    logins = {locked_registry.host: Login("ci", "wrong")}
    job = ran(shell("true", box=box(f"{locked_registry.host}/a")), logins=logins)
    assert job.step().reason is Reason.IMAGE_NOT_FOUND
    assert "check the name, and the credentials" in job.step().message


def test_a_registry_that_does_not_answer_is_the_machines_fault(ran: JobRunner) -> None:
    job = ran(shell("true", box=box(f"127.0.0.1:{free_port()}/a")))
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)


def test_a_services_image_that_does_not_exist_ends_the_job(ran: JobRunner, registry: Registry) -> None:
    job = ran(shell("true"), services=[service("db", box=box(f"{registry.host}/none:1"))])
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert job.step().state is State.SKIPPED
