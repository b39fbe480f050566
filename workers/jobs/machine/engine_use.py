"""What an engine keeps on its disk: what of it is Headway's, and what is other people's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.images.own_images import is_own_image
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL
from runner.docker.images.disk_usage import disk_usage
from workers.disk import Disk, disk_of


@dataclass(frozen=True)
class EngineUse:
    """Bytes by kind, the sizes of all images by id, and the disk where the engine's data is, if that is a local one."""

    bytes_of: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    disk_id: int | None = None
    disk: Disk | None = None


def engine_use(engine: Engine, recorded: frozenset[str]) -> EngineUse:
    """Asks the engine. ``recorded`` are the ids of images that Headway has pulled. Raises StepError."""
    found = disk_usage(engine)
    images = {str(each["Id"]): each for each in found.get("Images") or ()}
    ours = {image_id for image_id, each in images.items() if image_id in recorded or _is_own(each)}
    containers = found.get("Containers") or ()
    own = [each for each in containers if JOB_LABEL in (each.get("Labels") or {})]
    bytes_of = {
        "images": sum(_size(images[each]) for each in ours),
        "other_images": sum(_size(each) for image_id, each in images.items() if image_id not in ours),
        "containers": sum(_written(each) for each in own),
        "other_containers": sum(_written(each) for each in containers if each not in own),
        "build_cache": sum(_size(each) for each in found.get("BuildCache") or () if not each.get("Shared")),
    }
    root = Path(str(engine.info().get("DockerRootDir") or "/none"))
    sizes = {image_id: _size(each) for image_id, each in images.items()}
    try:
        return EngineUse(bytes_of, sizes, os.stat(root).st_dev, disk_of(root))  # noqa: PTH116 - it may be another machine's
    except OSError:
        return EngineUse(bytes_of, sizes)


def _is_own(image: Mapping[str, Any]) -> bool:
    return any(is_own_image(name) for name in image.get("RepoTags") or ())


def _size(found: Mapping[str, Any]) -> int:
    return max(0, int(found.get("Size") or 0))


def _written(container: Mapping[str, Any]) -> int:
    return max(0, int(container.get("SizeRw") or 0))
