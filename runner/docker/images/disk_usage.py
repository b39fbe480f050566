"""What the engine's images, containers and build cache take up."""

from typing import Any

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.listings import listed
from runner.docker.streams.progress_stream import ProgressStream
from runner.errors import MachineError


def disk_usage(engine: Engine) -> dict[str, Any]:
    """The engine's own account. Slow where there is much. Raises StepError."""
    return dict(listed(engine.connection, "/system/df", type=("image", "container", "build-cache")))


def prune_build_cache(engine: Engine, keep_bytes: int) -> None:
    """Removes build cache that no build uses, what was not used for longest first, down to ``keep_bytes``.

    Raises MachineError.
    """
    for message in ProgressStream(*engine.connection.open(f"/build/prune?keep-storage={keep_bytes}"), {}):
        if "error" in message:
            raise MachineError(Reason.INTERNAL, f"the Docker Engine cannot remove build cache: {message['error']}")
