"""What an engine keeps: Headway's and other people's; and the build cache, of which a setting keeps little."""

import json
from pathlib import Path

import pytest

from runner.docker.client import Engine
from runner.docker.images.disk_usage import prune_build_cache
from runner.errors import MachineError
from tests.support.fake_engine import DOCKER, fake_engine
from workers.jobs.machine.engine_use import engine_use

USAGE = {
    "Images": [
        {"Id": "sha256:a", "Size": 100, "RepoTags": ["python:3"]},
        {"Id": "sha256:b", "Size": 10, "RepoTags": ["headway/sandbox:2"]},
        {"Id": "sha256:c", "Size": 1000, "RepoTags": None},
    ],
    "Containers": [
        {"Id": "x", "SizeRw": 5, "Labels": {"headway.job": "1"}},
        {"Id": "y", "SizeRw": 7, "Labels": None},
        {"Id": "z", "Labels": {}},
    ],
    "BuildCache": [{"Size": 50, "Shared": False}, {"Size": 60, "Shared": True}, {"Size": -1, "Shared": False}],
}
PATH = "/df"


def test_what_is_ours_and_what_is_others(tmp_path: Path) -> None:
    root = json.dumps({"DockerRootDir": str(tmp_path)})
    with fake_engine(tmp_path, DOCKER, info=root) as fake:
        fake.bodies = {**fake.bodies, PATH: (200, json.dumps(USAGE))}
        use = engine_use(Engine(fake.host), frozenset({"sha256:a"}))
    assert use.bytes_of == {
        "images": 110, "other_images": 1000, "containers": 5, "other_containers": 7, "build_cache": 50,
    }  # fmt: skip
    assert use.images["sha256:c"] == 1000
    assert use.disk_id == tmp_path.stat().st_dev


def test_an_engine_elsewhere_has_no_disk_here(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER, info=json.dumps({"DockerRootDir": "/none/such"})) as fake:
        fake.bodies = {**fake.bodies, PATH: (200, '{"Images": null, "Containers": null, "BuildCache": null}')}
        use = engine_use(Engine(fake.host), frozenset())
        assert (use.disk, use.bytes_of["images"]) == (None, 0)
        fake.bodies = {**fake.bodies, PATH: (500, "{}")}
        with pytest.raises(MachineError, match="GET /system/df failed with status 500: "):
            engine_use(Engine(fake.host), frozenset())


def test_the_build_cache_is_pruned_down_to_a_size(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER, prune='{"SpaceReclaimed": 5}') as fake:
        prune_build_cache(Engine(fake.host), 1)
        assert fake.asked[-1].endswith("/build/prune")


def test_an_engine_that_cannot_prune_says_why(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake, pytest.raises(MachineError, match="cannot remove build cache"):
        prune_build_cache(Engine(fake.host), 1)
