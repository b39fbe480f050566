"""Caches of builds that are kept outside the image, which not every Docker Engine can write."""

from pipelines.images import platforms
from pipelines.images.build_values import cache_pairs

NEED = "a cache of another type than inline can only be written with the containerd image store of the Docker Engine"
REMEDY = (
    f"write `cache_to: type=inline` and `cache_from: IMAGE` with the name that is pushed, or {platforms.SWITCH_ON}, or "
    "leave `cache_to` out: the engine keeps a cache of its own"
)


def needs_store(entry: str) -> bool:
    """True for an entry of ``cache_to`` whose cache is not inside the image."""
    return {value.lower() for name, value in cache_pairs(entry) if name == "type"} != {"inline"}
