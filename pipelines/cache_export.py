"""Caches of builds that are kept outside the image, which not every Docker Engine can write."""

from pipelines.build_values import cache_pairs

NEED = "a cache of another type than inline can only be written with the containerd image store of the Docker Engine"
REMEDY = (
    "write `cache_to: type=inline` and `cache_from: IMAGE` with the name that is pushed, or switch the store on with "
    '{"features": {"containerd-snapshotter": true}} in the engine\'s daemon.json and restart it (the images that it '
    "has now must be pulled again), or leave `cache_to` out: the engine keeps a cache of its own"
)


def needs_store(entry: str) -> bool:
    """True for an entry of ``cache_to`` whose cache is not inside the image."""
    return {value.lower() for name, value in cache_pairs(entry) if name == "type"} != {"inline"}
