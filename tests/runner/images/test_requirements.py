"""Which images a plan wants early, and what is written of a pull: values and texts, no engine."""

from collections.abc import Sequence
from typing import Any

import pytest

from pipelines.plan import Container, JobPlan, NamedImage, SecretRef, Service, Step
from runner.docker.error_mapping import pull_error
from runner.docker.streams.progress_stream import Message
from runner.images.pull import SUM_EVERY_S, PullProgress
from runner.images.requirements import ImageRequirement, image_requirements, may_make
from tests.support.plans import build, container, numbered, plugin, push, service, shell

APP = "host.example/team/app"


def plan(*steps: Step, services: Sequence[Service] = ()) -> JobPlan:
    return JobPlan(name="test", file="test.yml", number=1, steps=numbered(steps), services=tuple(services))


def box(name: str, *, pull: bool = False, **keys: Any) -> Container:
    return container(**keys).model_copy(update={"image": NamedImage(name=name, pull=pull)})


def test_services_come_first_then_steps_in_their_order_each_image_once() -> None:
    found = image_requirements(
        plan(shell(box=box("b")), shell(box=box("a")), shell(box=box("b")), services=[service("db", box=box("db"))])
    )
    assert [wanted.name for wanted in found.early] == ["db", "b", "a"]


def test_what_runs_only_after_a_failure_is_not_wanted_early() -> None:
    found = image_requirements(plan(shell(box=box("a")), shell(box=box("b"), on_success=False, on_failure=True)))
    assert found.early == (ImageRequirement("a"),)
    assert found.steps[2] == ImageRequirement("b")


def test_where_one_step_asks_for_the_newest_all_that_share_the_image_get_it() -> None:
    found = image_requirements(plan(shell(box=box("a")), shell(box=box("a", pull=True))))
    assert found.steps[1] == found.steps[2] == ImageRequirement("a", newest=True)


def test_what_a_digest_names_is_never_newer() -> None:
    assert not image_requirements(plan(shell(box=box("a@sha256:00", pull=True)))).steps[1].newest


def test_an_image_without_a_tag_is_the_one_called_latest() -> None:
    assert (
        ImageRequirement("host:5000/a").key
        == ImageRequirement("host:5000/a:latest").key
        != ImageRequirement("host:5000/a:1").key
    )


def test_an_image_that_an_earlier_step_may_push_is_not_wanted_early() -> None:
    found = image_requirements(
        plan(shell(box=box(APP)), build(), push(2, APP), shell(box=box(APP)), shell(box=box("b")))
    )
    assert found.early == (ImageRequirement(APP), ImageRequirement("b"))
    assert found.steps[4].after == {3}


@pytest.mark.parametrize(
    ("step", "name", "may"),
    [
        (push(1, APP), f"{APP}:1", True),
        (push(1, "host.example/team/other"), f"{APP}:1", False),
        (build(), APP, False),
        (plugin(container(environment={"PLUGIN_REPO": APP})), f"{APP}:2", True),
        (plugin(container(environment={"PLUGIN_REPO": ("host.example/team/", SecretRef(secret="s"))})), APP, False),
        (shell("crane push image.tar host.example/team/app"), APP, True),
        (shell("cd happy-app"), APP, False),
        (shell("python -m build"), "python:3.13", False),
        (shell("docker compose build", box=container(volumes=("/run/docker.sock:/run/docker.sock",))), "x", True),
        (shell("docker build .", box=container(environment={"DOCKER_HOST": "tcp://docker:2375"})), "x", True),
    ],
)  # fmt: skip
def test_what_a_step_may_give_a_name_to(step: Step, name: str, may: bool) -> None:
    assert may_make(step, name) is may


def feed(*messages: Message, seconds_each: float = 0.0) -> list[str]:
    """What is written of a pull whose messages come at this pace."""
    lines: list[str] = []
    now = [0.0]
    layers = PullProgress("a:1", lines.append, lambda: now[0])
    for message in messages:
        now[0] += seconds_each
        layers.feed(message)
    return lines


def downloading(layer: str, current: int, total: int | None = None) -> Message:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": total or 0}}


def test_a_layer_is_one_line_with_its_size() -> None:
    assert feed(
        {"status": "Pulling from a", "id": "1"},
        {"status": "Already exists", "id": "aa"},
        {"status": "Pulling fs layer", "id": "bb"},
        *(downloading("bb", part * 1_000_000, 42_000_000) for part in range(42)),
        {"status": "Download complete", "id": "bb"},
        {"status": "Extracting", "id": "bb", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Pull complete", "id": "bb"},
        {"status": "Digest: sha256:00"},
        {"status": "Status: Downloaded newer image for a:1"},
    ) == [
        "  aa: already exists", "  bb: pull complete, 42 MB", "  Digest: sha256:00",
        "  Status: Downloaded newer image for a:1",
    ]  # fmt: skip


def test_a_long_pull_tells_now_and_then_how_much_is_here() -> None:
    messages = [downloading("bb", part * 10_000_000, 180_000_000) for part in range(13)]
    waiting = [{"status": "Pulling fs layer", "id": layer} for layer in ("bb", "cc")]
    assert feed(*waiting, *messages, seconds_each=SUM_EVERY_S / 4) == [
        "  10 of 180 MB, 1 more layers to come",
        "  50 of 180 MB, 1 more layers to come",
        "  90 of 180 MB, 1 more layers to come",
    ]


def test_nothing_new_is_not_told_again() -> None:
    assert len(feed(*[downloading("bb", 1_000_000, 2_000_000)] * 50, seconds_each=SUM_EVERY_S)) == 1


def test_a_registry_that_tells_no_sizes_is_fine() -> None:
    assert feed(downloading("bb", 1_500_000), {"status": "Pull complete", "id": "bb"}) == [
        "  bb: pull complete, 1.5 MB"
    ]


def test_an_image_that_was_here_is_the_newest() -> None:
    assert feed({"status": "Status: Image is up to date for a:1"}) == ["  a:1 is up to date"]


def test_a_limit_of_the_registry_says_what_to_do() -> None:
    text = "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
    assert "headway registry login docker.io" in str(pull_error("busybox", text, with_login=False))
    assert "raise the limit of the account" in str(pull_error("busybox", text, with_login=True))


def test_a_full_disk_names_the_image() -> None:
    text = "failed to register layer: write /x: no space left on device"
    assert "the image a:1 cannot be pulled: the disk of the Docker Engine is full" in str(
        pull_error("a:1", text, with_login=False)
    )
