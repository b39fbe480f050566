"""What every forge module offers: webhook to trigger, run to commit status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pipelines.trigger import Trigger
from workers.forges.status_request import CommitStatus, Home, Request


@dataclass(frozen=True)
class NothingToDo:
    """A delivery with a valid signature that starts no run. ``reason`` is a sentence for users."""

    reason: str


class BadPayloadError(ValueError):
    """The payload does not match what its forge sends. ``field`` is the dotted path of the first wrong field."""

    def __init__(self, field: str, sentence: str) -> None:
        self.field = field
        self.sentence = sentence
        super().__init__(f"{field}: {sentence}")


Parsed = tuple[Trigger, ...] | NothingToDo


class Forge(Protocol):
    """One kind of webhook sender. ``headers`` has lower-case names; ``body`` is the raw body.

    Each forge is a module of this package with these functions, registered in ``FORGES``.
    """

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        """Whether the sender knows ``secret``. Takes the same time for every kind of failure."""

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        """The triggers of a delivery: usually one, several where it names several refs. Raises BadPayloadError."""

    def delivery_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """A key for idempotency: the same when the forge sends a delivery again, different for every other delivery.

        It may depend on headers only where the sender has proved more than that it knows a signature.
        """

    def report(self, home: Home, token: str, status: CommitStatus) -> Request | None:
        """The request that sets a commit status; None where the sender has no such API. Raises NoForgeError."""

    def setup_text(self, hook_url: str, secret: str) -> str:
        """Instructions for users: how to set up the webhook at this forge."""
