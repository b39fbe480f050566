"""Pulls one image: shows its progress, retries, and explains why a pull failed."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from runner.docker.client import Engine
from runner.docker.containers.specs import Login
from runner.docker.error_mapping import pull_error
from runner.docker.streams.progress_stream import Message
from runner.events import ImagePullChanged
from runner.images.engine_retries import EngineRetries
from runner.images.interruptible import interruptible
from runner.images.retry import RegistryRetries
from runner.logs.output import Write

SUM_EVERY_S = 5.0
MEGA = 1_000_000

OnPull = Callable[[ImagePullChanged], None]


class Pulled(NamedTuple):
    """What came: the image's digest in the registry, if the engine says it, and how much of it was missing."""

    digest: str
    downloaded_bytes: int


def reported(on_pull: OnPull, image: str, do: Callable[[], Pulled]) -> Pulled:
    """Calls ``do``, which pulls the image. Says before and after it what happens."""
    begun = time.monotonic()
    on_pull(ImagePullChanged(image))
    try:
        pulled = do()
    except Exception:
        on_pull(ImagePullChanged(image, time.monotonic() - begun, failed=True))
        raise
    on_pull(ImagePullChanged(image, time.monotonic() - begun, pulled.downloaded_bytes))
    return pulled


def pull(
    engine: Engine, name: str, login: Login | None, write: Write, check: Callable[[], None], retries: RegistryRetries
) -> Pulled:  # fmt: skip
    """Pulls an image and writes its progress. Raises StepError or MachineError.

    If the engine has the newest image already, this costs two small requests to the registry; no other check for a
    newer image needs fewer. Layers that another pull on the same engine is fetching are not fetched again.
    """
    write(f"pulling {name}")
    return retries.call(partial(_pull, engine, name, login, write, check, retries))


def _pull(
    engine: Engine, name: str, login: Login | None, write: Write, check: Callable[[], None], retries: RegistryRetries
) -> Pulled:  # fmt: skip
    progress, digest = PullProgress(name, write), ""
    for message in interruptible(engine.pull(name, login), check):
        if "error" in message:
            raise pull_error(name, str(message["error"]), with_login=login is not None)
        progress.feed(message)
        status = str(message.get("status", ""))
        if status == "Downloading":
            retries.served()
        digest = status.partition("Digest: ")[2] if status.startswith("Digest: ") else digest
    return Pulled(digest, progress.downloaded_bytes)


class PullProgress:
    """Condenses the engine's hundreds of messages to one line for each layer that has arrived.

    While no layer arrives, it writes the bytes downloaded so far every ``SUM_EVERY_S``. ``clock`` returns seconds.
    """

    def __init__(self, name: str, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._write = write
        self._clock = clock
        self._written_s = clock()
        self._last_sum = ""
        self._waiting: set[str] = set()
        self._here: dict[str, int] = {}
        self._complete: set[str] = set()
        self._size: dict[str, int] = {}
        self._retries = EngineRetries(self._write_line)

    @property
    def downloaded_bytes(self) -> int:
        """How much of the image has been downloaded so far."""
        return sum(self._here.values())

    def feed(self, message: Message) -> None:
        """Takes the next message."""
        status, layer = str(message.get("status", "")), str(message.get("id", ""))
        self._retries.feed(layer, status)
        if status == "Pulling fs layer":
            self._waiting.add(layer)
        elif status == "Downloading":
            self._downloading(layer, message.get("progressDetail") or {})
        elif status in {"Verifying Checksum", "Download complete"}:
            self._waiting.discard(layer)
            self._here[layer] = self._size.get(layer, 0)
        elif status == "Pull complete":
            self._write_complete(layer)
        elif status.startswith("Digest:"):
            # Engine 26 with the containerd image store reports only downloads, not "Pull complete".
            for downloaded in self._here.keys() - self._complete:
                self._write_complete(downloaded)
            self._write_line(f"  {status}")
        elif line := self._line(status, layer):
            self._write_line(line)
        self._sum_up()

    def _write_complete(self, layer: str) -> None:
        self._complete.add(layer)
        size_bytes = self._size.get(layer, 0)
        self._write_line(f"  {layer}: pull complete" + (f", {megabytes(size_bytes)} MB" if size_bytes else ""))

    def _line(self, status: str, layer: str) -> str:
        if status == "Already exists":
            return f"  {layer}: already exists"
        if status.startswith("Status: Image is up to date"):
            return f"  {self._name} is up to date"
        return f"  {status}" if status.startswith("Status:") else ""

    def _downloading(self, layer: str, detail: dict[str, int]) -> None:
        self._waiting.discard(layer)
        self._here[layer] = detail.get("current", 0)
        # Some registries do not tell the size.
        self._size[layer] = max(detail.get("total", 0), self._here[layer])

    def _sum_up(self) -> None:
        if not self._size or self._clock() < self._written_s + SUM_EVERY_S:
            return
        more = f", {len(self._waiting)} more layers to come" if self._waiting else ""
        here, size = sum(self._here.values()), sum(self._size.values())
        line = f"  {megabytes(here)} of {megabytes(size)} MB{more}"
        if line != self._last_sum:
            self._last_sum = line
            self._write_line(line)

    def _write_line(self, line: str) -> None:
        self._written_s = self._clock()
        self._write(line)


def megabytes(size_bytes: int) -> str:
    """A number of megabytes; small ones with a digit behind the point."""
    return f"{size_bytes / MEGA:.0f}" if size_bytes >= 10 * MEGA else f"{size_bytes / MEGA:.1f}"
