"""Multi-platform images, which not every Docker Engine can store."""

from collections.abc import Iterable

NEED = "an image of several platforms can only be kept in the containerd image store of the Docker Engine"
REMEDY = (
    'switch it on with {"features": {"containerd-snapshotter": true}} in the engine\'s daemon.json and restart it '
    "(the images that it has now must be pulled again), or build for one platform"
)
EMULATION = (
    "install emulation (docker run --privileged --rm tonistiigi/binfmt --install all), or compile for it in a stage of "
    "this machine's platform (FROM --platform=$BUILDPLATFORM)"
)


def are_several(platforms: Iterable[str]) -> bool:
    """True for more than one platform, such as ``linux/amd64`` and ``linux/arm64``."""
    return len({platform.strip() for platform in platforms}) > 1
