"""Answers of an engine while another job removes or loads the same name or image."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL, ContainerSpec
from runner.docker.images.disk_usage import disk_usage
from runner.docker.images.sandbox_image import NO_PROGRAM, archive_of, image_archive
from runner.docker.listings import CONFLICT_TRIES_MAX
from runner.errors import MachineError, StepError
from tests.support.fake_engine import DOCKER, fake_engine
from tests.support.plans import secrets_hex
from tests.support.registry_images import untag_matching

NAME_REMOVED = (500, '{"message": "image name already exists, but accessing it also failed: not found"}')
DONE = (201, "")


@pytest.mark.parametrize("conflicts", [1, CONFLICT_TRIES_MAX - 1])
def test_a_name_that_another_job_removes_is_given_again(tmp_path: Path, conflicts: int) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [NAME_REMOVED] * conflicts + [DONE]
        engine.tag("sha256:" + "0" * 64, "shop", "1")
        assert fake.next_answers == []
        engine.close()


def test_a_name_that_is_removed_each_time_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [NAME_REMOVED] * CONFLICT_TRIES_MAX + [DONE]
        with pytest.raises(MachineError, match="took and removed the name shop:1 20 times; re-run") as fault:
            engine.tag("sha256:" + "0" * 64, "shop", "1")
        assert fault.value.reason is Reason.INTERNAL
        assert fake.next_answers == [DONE]
        engine.close()


def test_another_error_of_tagging_is_raised_at_once(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [(404, '{"message": "No such image: sha256:00"}'), DONE]
        with pytest.raises(StepError, match="No such image"):
            engine.tag("sha256:00", "shop", "1")
        assert fake.next_answers == [DONE]
        engine.close()


# What Docker Engine 28.5 with the containerd store answers while images and containers come and go.
IMAGE_GONE = (404, '{"message":"NotFound: content digest sha256:00: not found"}\n')
FILES_GONE = (500, '{"message":"failed to retrieve container list: rw layer snapshot not found for container 00"}\n')
LOADED_BY_ANOTHER = (200, '{"error": "Error: commit failed: AlreadyExists: blob sha256:00"}')
LISTS: list[tuple[Callable[[Engine], object], str, object]] = [
    (Engine.images, "[]", []),
    (lambda engine: engine.image_names("shop:*"), '[{"RepoTags": ["shop:1"]}, {"RepoTags": null}]', ["shop:1"]),
    (lambda engine: engine.containers_labelled("headway.job", sizes=True), "[]", []),
    (lambda engine: engine.networks_labelled("headway.job"), "[]", []),
    (disk_usage, '{"Images": null}', {"Images": None}),
]


@pytest.mark.parametrize(("ask", "body", "found"), LISTS)
@pytest.mark.parametrize("conflict", [IMAGE_GONE, FILES_GONE])
def test_a_list_is_asked_for_again_where_another_job_removes_what_is_in_it(
    tmp_path: Path, ask: Callable[[Engine], object], body: str, found: object, conflict: tuple[int, str]
) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [conflict] * (CONFLICT_TRIES_MAX - 1) + [(200, body)]
        assert ask(engine) == found
        fake.next_answers = [conflict] * CONFLICT_TRIES_MAX + [(200, body)]
        with pytest.raises(MachineError, match=r"GET /[a-z/]+ failed with status \d+: .* not found"):
            ask(engine)
        assert fake.next_answers == [(200, body)]
        engine.close()


@pytest.mark.parametrize("body", ['{"message": "the disk is on fire"}', "the disk is on fire", "[]", "{}"])
def test_another_error_of_a_list_is_raised_at_once(tmp_path: Path, body: str) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [(500, body), (200, "[]")]
        with pytest.raises(MachineError, match=r"GET /images/json failed with status 500: .*(fire|\[\]|{})"):
            engine.images()
        assert fake.next_answers == [(200, "[]")]
        engine.close()


def test_an_image_that_another_job_loads_at_the_same_moment_is_loaded(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [LOADED_BY_ANOTHER] * (CONFLICT_TRIES_MAX - 1) + [(200, '{"stream": "Loaded image"}')]
        engine.load_image(b"")
        assert fake.next_answers == []
        fake.next_answers = [LOADED_BY_ANOTHER] * CONFLICT_TRIES_MAX + [DONE]
        with pytest.raises(MachineError, match="cannot load an image: Error: commit failed: AlreadyExists"):
            engine.load_image(b"")
        fake.next_answers = [(200, '{"error": "invalid archive"}')]
        with pytest.raises(MachineError, match="cannot load an image: invalid archive"):
            engine.load_image(b"")
        engine.close()


@pytest.mark.engine
@pytest.mark.both_stores
def test_images_that_come_and_go_disturb_nothing(engine: Engine) -> None:
    """Threads load, name and remove images, and the same image, while others list all that the engine keeps."""
    errors: list[Exception] = []
    arch, own = engine.connection.version.arch, secrets_hex()

    def repeat(action: Callable[[str], object]) -> None:
        try:
            for turn in range(20):
                action(f"headway-test/{own}-{threading.get_ident()}-{turn}:1")
        except Exception as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    def come_and_go(name: str) -> None:
        engine.load_image(image_archive(name, arch, archive_of({"name": name.encode()})))
        spec = ContainerSpec(image=name, labels={JOB_LABEL: own}, network="none", command=NO_PROGRAM)
        engine.remove(engine.create(spec))
        engine.untag(name)

    actions: list[Callable[[str], object]] = [come_and_go, come_and_go]
    actions += [
        lambda _: engine.load_image(image_archive(f"headway-test/{own}:1", arch, archive_of({"same": b""})))
    ] * 3
    actions += [lambda _, ask=ask: ask(engine) for ask, _, _ in LISTS]  # type: ignore[misc] # mypy knows no default
    threads = [threading.Thread(target=repeat, args=(action,)) for action in actions]
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        untag_matching(engine, own)
    assert errors == []
