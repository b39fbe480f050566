"""Where the images of steps come from."""

from collections.abc import Iterator

import pytest

from pipelines.plan import Container, NamedImage
from pipelines.state import Reason, State
from tests.engine import Workshop, image_names, secrets_hex
from tests.plans import build, container, push, service, shell
from tests.registry import LOGIN, Registry, free_port

pytestmark = pytest.mark.engine


def box(name: str, *, pull: bool = False) -> Container:
    return container(name).model_copy(update={"image": NamedImage(name=name, pull=pull)})


@pytest.fixture
def stored(ran: Workshop, registry: Registry) -> Iterator[str]:
    """The name of an image that is in the registry and not in the engine."""
    name = f"{registry.host}/stored/{secrets_hex()}"
    files = {"Dockerfile": f"FROM busybox\nRUN echo {name} > /name\n"}
    assert ran(build(), push(1, name), files=files).outcome.state is State.PASSED
    yield f"{name}:latest"
    for left in [left for left in image_names(ran.engine) if left.startswith(name)]:
        ran.engine.untag(left)


def test_an_image_that_is_not_here_is_pulled_and_told(ran: Workshop, stored: str) -> None:
    job = ran(shell("cat /name", box=box(stored)))
    assert job.said() == [stored.removesuffix(":latest")]
    assert f"pulling {stored}\n" in job.log().decode()
    assert "Digest: sha256:" in job.log().decode()
    assert "pulling" not in ran(shell("true", box=box(stored))).log().decode()


def test_an_image_may_be_named_by_its_digest(ran: Workshop, stored: str, registry: Registry) -> None:
    name = stored.removesuffix(":latest")
    digest, _ = registry.manifest(name, "latest")
    for written in (f"{name}@{digest}", f"{name}:latest@{digest}"):
        job = ran(shell("cat /name", box=box(written)))
        assert job.said() == [name]
    ran.engine.untag(f"{name}@{digest}")


def test_the_newest_is_pulled_where_the_step_asks_for_it(ran: Workshop, stored: str) -> None:
    name = stored.removesuffix(":latest")
    ran(shell("true", box=box(stored)))
    ran(build(), push(1, name), files={"Dockerfile": "FROM busybox\nRUN echo newer > /name\n"})
    ran.engine.tag("busybox:latest", name, "latest")
    assert ran(shell("cat /name || echo none", box=box(stored))).said() == ["none"]
    assert ran(shell("cat /name", box=box(stored, pull=True))).said() == ["newer"]


@pytest.mark.parametrize("pull", [False, True])
def test_steps_with_the_same_image_pull_it_once(ran: Workshop, stored: str, pull: bool) -> None:
    job = ran(
        *(shell("true", box=box(stored, pull=pull), needs=()) for _ in range(3)),
        shell("true", box=box(stored, pull=pull)),
    )
    assert job.states == [State.PASSED] * 4
    assert sum(job.log(number).count(b"pulling ") for number in (1, 2, 3, 4)) == 1


def test_an_image_that_does_not_exist_is_named(ran: Workshop, registry: Registry) -> None:
    job = ran(shell("true", box=box(f"{registry.host}/none/such:1")))
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert f"{registry.host}/none/such:1" in job.step().message


def test_a_tag_that_does_not_exist_is_named(ran: Workshop, stored: str) -> None:
    job = ran(shell("true", box=box(stored.replace(":latest", ":nonesuch"))))
    assert job.step().reason is Reason.IMAGE_NOT_FOUND
    assert ":nonesuch" in job.step().message


def test_an_image_behind_a_login_says_how_to_log_in(ran: Workshop, locked_registry: Registry) -> None:
    job = ran(shell("true", box=box(f"{locked_registry.host}/a")))
    assert job.step().reason is Reason.IMAGE_NOT_FOUND
    assert f"headway registry login {locked_registry.host}" in job.step().message


def test_the_credentials_for_the_host_are_used(ran: Workshop, locked_registry: Registry) -> None:
    name = f"{locked_registry.host}/stored/{secrets_hex()}"
    logins = {locked_registry.host: LOGIN}
    files = {"Dockerfile": "FROM busybox\n"}
    ran(build(), push(1, name), files=files, logins=logins)
    job = ran(shell("echo here", box=box(name)), build(dockerfile_inline=f"FROM {name}\n", pull=True), logins=logins)
    assert job.outcome.state is State.PASSED, job.outcome
    ran.engine.untag(f"{name}:latest")


def test_a_registry_that_does_not_answer_is_the_machines_fault(ran: Workshop) -> None:
    job = ran(shell("true", box=box(f"127.0.0.1:{free_port()}/a")))
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)


def test_a_services_image_that_does_not_exist_ends_the_job(ran: Workshop, registry: Registry) -> None:
    job = ran(shell("true"), services=[service("db", box=box(f"{registry.host}/none:1"))])
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert job.step().state is State.SKIPPED
