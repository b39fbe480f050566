"""One pull of one image: what is said of it, and why it failed."""

import time
from collections.abc import Callable
from functools import partial

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.error_mapping import classify_text, is_refusal
from runner.docker.progress_stream import Message
from runner.docker.references import registry_host
from runner.docker.specs import Login
from runner.errors import MachineError, StepError
from runner.images.interruptible import heed
from runner.images.retry import with_retries
from runner.logs.output import Write

SUM_EVERY_S = 5.0
MEGA = 1_000_000
_ABSENT = ("not found", "manifest unknown", "does not exist", "no such image", "name unknown", "name not known")
_TOO_MANY = ("toomanyrequests", "too many requests", "http 429", "rate limit")
_OTHER_PLATFORM = (
    "no matching manifest", "no match for platform in manifest",
    "does not match the specified platform", "does not provide the specified",
)  # fmt: skip


def pull(engine: Engine, name: str, login: Login | None, write: Write, check: Callable[[], None]) -> None:
    """Pulls an image and writes what a person wants to know of it. Raises StepError or MachineError.

    An image that is here already costs two small questions to the registry, fewer than any other way to ask whether it
    is still the newest; layers that another pull on the same engine is just fetching are not fetched again.
    """
    write(f"pulling {name}")
    with_retries(partial(_pull, engine, name, login, write, check), write, check)


def _pull(engine: Engine, name: str, login: Login | None, write: Write, check: Callable[[], None]) -> None:
    layers = Layers(name, write)
    for message in heed(engine.pull(name, login), check):
        if "error" in message:
            raise pull_error(name, str(message["error"]), with_login=login is not None)
        layers.feed(message)


class Layers:
    """Takes the engine's hundreds of messages and writes a line for every layer that has arrived.

    While nothing arrives, now and then a line tells how much of all is here. ``clock`` counts seconds.
    """

    def __init__(self, name: str, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._write = write
        self._clock = clock
        self._told_s = clock()
        self._told = ""
        self._waiting: set[str] = set()
        self._here: dict[str, int] = {}
        self._complete: set[str] = set()
        self._size: dict[str, int] = {}

    def feed(self, message: Message) -> None:
        """The next message."""
        status, layer = str(message.get("status", "")), str(message.get("id", ""))
        if status == "Pulling fs layer":
            self._waiting.add(layer)
        elif status == "Downloading":
            self._downloading(layer, message.get("progressDetail") or {})
        elif status in {"Verifying Checksum", "Download complete"}:
            self._waiting.discard(layer)
            self._here[layer] = self._size.get(layer, 0)
        elif status == "Pull complete":
            self._tell_complete(layer)
        elif status.startswith("Digest:"):
            # Engine 26 tells of layers in the containerd image store only that they were downloaded.
            for downloaded in self._here.keys() - self._complete:
                self._tell_complete(downloaded)
            self._tell(f"  {status}")
        elif line := self._line(status, layer):
            self._tell(line)
        self._sum_up()

    def _tell_complete(self, layer: str) -> None:
        self._complete.add(layer)
        size_bytes = self._size.get(layer, 0)
        self._tell(f"  {layer}: pull complete" + (f", {_megabytes(size_bytes)} MB" if size_bytes else ""))

    def _line(self, status: str, layer: str) -> str:
        if status == "Already exists":
            return f"  {layer}: already exists"
        if status.startswith("Status: Image is up to date"):
            return f"  {self._name} is the newest already"
        return f"  {status}" if status.startswith("Status:") else ""

    def _downloading(self, layer: str, detail: dict[str, int]) -> None:
        self._waiting.discard(layer)
        self._here[layer] = detail.get("current", 0)
        # A registry may keep the size to itself.
        self._size[layer] = max(detail.get("total", 0), self._here[layer])

    def _sum_up(self) -> None:
        if not self._size or self._clock() < self._told_s + SUM_EVERY_S:
            return
        more = f", layers yet to come: {len(self._waiting)}" if self._waiting else ""
        here, size = sum(self._here.values()), sum(self._size.values())
        line = f"  {_megabytes(here)} of {_megabytes(size)} MB{more}"
        if line != self._told:
            self._told = line
            self._tell(line)

    def _tell(self, line: str) -> None:
        self._told_s = self._clock()
        self._write(line)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / MEGA:.0f}" if size_bytes >= 10 * MEGA else f"{size_bytes / MEGA:.1f}"


def pull_error(name: str, text: str, *, with_login: bool) -> StepError:
    """Why a pull failed, as our error: each with what is to be done."""
    low, host = text.lower(), registry_host(name)
    log_in = f"log in: headway registry login {host}"
    if any(sign in low for sign in _TOO_MANY):
        hint = "raise the limit of the account, or" if with_login else f"{log_in}, or"
        hint += " let the engine ask a mirror (registry-mirrors in its configuration), and re-run later"
        return MachineError(
            Reason.REGISTRY_UNREACHABLE,
            f"the registry {host} gives out no more images for now (its rate limit), {name} among them: "
            f"{text.strip()}; {hint}",
        )
    if any(sign in low for sign in _OTHER_PLATFORM):
        hint = "use an image for this platform, or a worker that has the image's"
        return StepError(
            Reason.IMAGE_NOT_FOUND, f"the image {name} is not there for this machine: {text.strip()}; {hint}"
        )
    known = classify_text(text)
    if known.reason is not Reason.INTERNAL:
        return type(known)(known.reason, f"the image {name} cannot be pulled: {known}")
    if is_refusal(text):
        hint = f"check the name{', and the credentials' if with_login else f', or {log_in}'}"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the registry gives no access to the image {name}; {hint}")
    if "invalid reference format" in low or "must be lowercase" in low:
        return StepError(Reason.IMAGE_NOT_FOUND, f"{name!r} cannot be the name of an image: {text.strip()}")
    if any(sign in low for sign in _ABSENT):
        return StepError(Reason.IMAGE_NOT_FOUND, f"there is no image {name}; check its name and tag")
    return known
