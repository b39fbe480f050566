"""Images that Headway has pulled, and no others, are removed when no job and no container uses them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import CommandsStep, Container, NamedImage
from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec
from runner.docker.images.disk_usage import disk_usage
from runner.execution.job.options import Options
from runner.images.image_record import ImageUse, RecordedImage, recorded_images, remove_image
from runner.images.pull import pull
from runner.images.retry import RegistryRetries
from tests.support.engine import JobRunner
from tests.support.plans import BUSYBOX, container, secrets_hex, shell
from tests.support.registry import Registry
from tests.support.registry_images import put_image, untag_matching


def step_with(name: str, script: str = "true") -> CommandsStep:
    box: Container = container(name).model_copy(update={"image": NamedImage(name=name)})
    return shell(script, box=box)


@pytest.fixture
def stored(engine: Engine, registry: Registry) -> Iterator[str]:
    """The name of an image that is in the registry and not in the engine."""
    name = f"{registry.host}/recorded/{secrets_hex()}"
    put_image(engine, name, word=name)
    yield f"{name}:1"
    untag_matching(engine, name)


def recorded(folder: Path) -> RecordedImage:
    (found,) = recorded_images(folder)
    return found


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_job_records_what_it_has_pulled_and_nothing_that_was_there(
    ran: JobRunner, engine: Engine, stored: str, tmp_path: Path
) -> None:
    folder, options = tmp_path / "images", Options(image_records=tmp_path / "images")
    ran(step_with(BUSYBOX), options=options)
    assert recorded_images(folder) == []
    ran(step_with(stored), options=options)
    image = recorded(folder)
    assert image.image_id == (engine.image(stored) or {})["Id"]
    assert image.image_id in {each["Id"] for each in disk_usage(engine)["Images"]}
    os.utime(folder / image.image_id.removeprefix("sha256:"), (1, 1))
    ran(step_with(stored), options=options)
    assert recorded(folder).used_s > time.time() - 60, "a use is noted"
    assert not remove_image(engine, folder, RecordedImage(image.image_id, 1)), "it was used since it was chosen"
    assert remove_image(engine, folder, recorded(folder))
    assert (engine.image(stored), recorded_images(folder)) == (None, [])


@pytest.mark.engine
@pytest.mark.both_stores
def test_an_image_in_use_or_with_a_name_of_others_stays(
    ran: JobRunner, engine: Engine, stored: str, tmp_path: Path
) -> None:
    folder, use = tmp_path / "images", ImageUse(tmp_path / "images")
    before = use.before_pull(engine)
    pull(engine, stored, None, lambda _: None, lambda: None, RegistryRetries(0, lambda _: None, lambda: None))
    image = engine.image(stored) or {}
    use.pulled(stored, image, before)
    assert not remove_image(engine, folder, recorded(folder)), "a job uses it"
    use.close()
    engine.tag(stored, "other-owner/else", secrets_hex())
    (other,) = [name for name in (engine.image(stored) or {})["RepoTags"] if name.startswith("other-owner/")]
    assert not remove_image(engine, folder, recorded(folder))
    assert (engine.image(stored) or {})["RepoTags"]
    engine.untag(other)
    assert remove_image(engine, folder, recorded(folder))
    assert engine.image(stored) is None


@pytest.mark.engine
def test_an_image_that_a_container_uses_keeps_all_its_names(engine: Engine, stored: str, tmp_path: Path) -> None:
    use = ImageUse(tmp_path)
    before = use.before_pull(engine)
    pull(engine, stored, None, lambda _: None, lambda: None, RegistryRetries(0, lambda _: None, lambda: None))
    engine.tag(stored, stored.rpartition(":")[0], "2")
    use.pulled(stored, engine.image(stored) or {}, before)
    use.close()
    names = sorted((engine.image(stored) or {})["RepoTags"])
    held = engine.create(ContainerSpec(stored, {}, "none", command=("true",)))
    try:
        assert not remove_image(engine, tmp_path, recorded(tmp_path))
        assert sorted((engine.image(stored) or {})["RepoTags"]) == names
    finally:
        engine.remove(held)
    assert remove_image(engine, tmp_path, recorded(tmp_path))
    assert engine.image(stored) is None


def test_only_recorded_images_are_held(tmp_path: Path) -> None:
    use = ImageUse(tmp_path / "images")
    use.use("sha256:" + "0" * 64)
    assert recorded_images(tmp_path / "images") == []
    there, pulled = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    use.pulled("a:1", {"Id": there}, frozenset({there}))
    assert recorded_images(tmp_path / "images") == []
    use.pulled("a:1", {"Id": pulled}, frozenset())
    assert [each.image_id for each in recorded_images(tmp_path / "images")] == [pulled]
    use.close()


def test_only_files_that_are_named_by_an_image_count_as_records(tmp_path: Path) -> None:
    image = "0a" * 32
    for name in (image, f"{image}0", image.upper() + ".bak", "lost+found", ".nfs01"):
        (tmp_path / name).touch()
    assert recorded(tmp_path).image_id == f"sha256:{image}"
