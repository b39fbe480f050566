"""An image whose VOLUME lies over the checkout says so."""

from collections.abc import Callable

import pytest

from pipelines.plan import Container, JobPlan
from pipelines.state import Reason, State
from runner.events import Stream
from runner.execution.container.image_volumes import hidden_by_volumes
from tests.support.engine import JobRunner
from tests.support.plans import container, plugin, shell

PLAN = JobPlan(name="test", file=".headway.yml", number=1, steps=(), workspace_base="/go", workspace="/go/src/app")


@pytest.mark.parametrize(
    ("volume", "whole", "part"),
    [
        ("/go/src/app", True, False),
        ("/go/src/app/", True, False),
        ("/go/src", True, False),
        ("/go/src/app/vendor", False, True),
        ("/go", False, False),
        ("/", False, False),
        ("/go/bin", False, False),
        ("/go/src/application", False, False),
        ("/elsewhere", False, False),
    ],
)
def test_what_a_volume_hides(volume: str, whole: bool, part: bool) -> None:
    hidden = hidden_by_volumes(PLAN, container(), [volume])
    assert tuple(map(bool, hidden)) == (whole, part)
    assert all(volume.rstrip("/") in sentence for sentence in hidden if sentence)


@pytest.mark.parametrize("own", [container(volumes=("/x:/go/src:ro",)), container(tmpfs=("/go/src:size=1m",))])
def test_a_mount_of_the_pipeline_file_takes_the_place_of_a_volume(own: Container) -> None:
    assert hidden_by_volumes(PLAN, own, ["/go/src"]) == ("", "")


@pytest.mark.engine
def test_commands_do_not_run_without_their_checkout(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image = given_image("FROM busybox\nVOLUME /headway/src\n")
    job = ran(shell("ls", box=container(image)), files={"file": "x"})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.BAD_COMMAND)
    assert "has VOLUME /headway/src" in job.step().message
    assert "let `workspace` (base and path) place the checkout elsewhere" in job.step().message
    assert job.said() == []


@pytest.mark.engine
def test_the_remedy_helps(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image = given_image("FROM busybox\nVOLUME /headway/src\n")
    step = shell("ls", box=container(image, directory="/elsewhere/src"))
    job = ran(step, files={"file": "x"}, workspace_base="/elsewhere", workspace="/elsewhere/src")
    assert job.said() == ["file"]


@pytest.mark.engine
def test_a_plugin_is_told_and_runs(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image = given_image('FROM busybox\nVOLUME /headway/src\nENTRYPOINT ["echo", "hello"]\n')
    job = ran(plugin(container(image)))
    assert job.said() == ["hello"]
    assert b"headway: the image hides the checkout" in job.log(1, Stream.NOTE)


@pytest.mark.engine
@pytest.mark.parametrize(("volume", "hides"), [("/headway", False), ("/headway/src/sub", True)])
def test_what_is_said_is_what_the_engine_does(
    ran: JobRunner, given_image: Callable[..., str], volume: str, hides: bool
) -> None:
    image = given_image(f"FROM busybox\nVOLUME {volume}\n")
    job = ran(shell("ls sub", box=container(image)), files={"sub/file": "x"})
    assert job.said() == ([] if hides else ["file"])
    assert (f"the image has VOLUME {volume}".encode() in job.log(1, Stream.NOTE)) is hides
