"""Messages of a shell: two lists in Redis, one a direction, and a request that opens it. All of them are sealed.

What is typed may be a secret, and Redis may be readable, or writable, by others: without the installation's key a
message can neither be read nor made. The number of a message is part of its place, so that none is taken twice, left
out or taken in another order without an error.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from workers.secrets.vault import Vault, VaultError
from workers.shells.limits import COLUMNS_MAX, ROWS_MAX

REQUEST_BYTES_MAX = 4 * 1024
_STATUS_DIGITS_MAX = 3
BROWSER_LEFT = "The browser has closed the shell."
"""The end of a shell that no process waits for."""


class Direction(StrEnum):
    """Where a message goes: to the worker, or to the browser."""

    IN = "in"
    OUT = "out"


class Kind(StrEnum):
    """What a message is. The worker sends OPENED first; END has a sentence, and is the last."""

    OPENED = "o"
    DATA = "d"
    SIZE = "s"
    ALIVE = "a"
    END = "e"


@dataclass(frozen=True)
class Message:
    """A message, before it is sealed. ``data`` is bytes of the terminal, a sentence, or a size."""

    kind: Kind
    data: bytes = b""


@dataclass(frozen=True)
class Size:
    """The size of a terminal. Values that make no sense are replaced by the nearest that do."""

    rows: int = 24
    columns: int = 80

    def bounded(self) -> "Size":
        """The same within the limits."""
        return Size(min(max(self.rows, 1), ROWS_MAX), min(max(self.columns, 1), COLUMNS_MAX))

    def message(self) -> Message:
        """Tells the worker of this size."""
        return Message(Kind.SIZE, f"{self.rows} {self.columns}".encode())


@dataclass(frozen=True)
class End:
    """How a shell has ended; ``exit_status`` is its own, and None where it was ended."""

    sentence: str
    exit_status: int | None = None

    def message(self) -> Message:
        """The last message of the worker. The status stands behind a newline: older web servers show it as it is."""
        status = "" if self.exit_status is None else self.exit_status
        return Message(Kind.END, f"{self.sentence}\n{status}".encode())


def end_in(message: Message) -> End:
    """What a message of the kind END says; a worker of before the exit status says only the sentence."""
    text = message.data.decode(errors="replace")
    sentence, found, status = text.rpartition("\n")
    if not found:
        return End(text)
    return End(sentence, int(status) if status.isdecimal() and len(status) <= _STATUS_DIGITS_MAX else None)


def size_in(message: Message) -> Size:
    """The size that a message of the kind SIZE has. Raises ValueError."""
    rows, columns = message.data.split()
    return Size(int(rows), int(columns)).bounded()


@dataclass(frozen=True)
class OpenRequest:
    """Opens a shell in a step, by the step's number in its job. ``shell`` is a random id."""

    shell: str
    step: int
    rows: int
    columns: int

    @property
    def size(self) -> Size:
        """Of its terminal."""
        return Size(self.rows, self.columns).bounded()


def channel_of(job_id: int) -> str:
    """Pub/sub channel with requests for the worker of this job."""
    return f"headway:shells:{job_id}"


def list_key(shell: str, direction: Direction) -> str:
    """The list with the messages of one direction, the oldest first."""
    return f"headway:shell:{shell}:{direction}"


def sealed_request(vault: Vault, job_id: int, attempt: int, request: OpenRequest) -> str:
    """The request as it is published. It is for one attempt: the next worker of the job does not know of it."""
    return vault.seal(_request_place(job_id, attempt), json.dumps(asdict(request)))


def request_in(vault: Vault, job_id: int, attempt: int, published: bytes) -> OpenRequest | None:
    """The request that was published; None for what was not made by this installation, for this attempt at the job."""
    if len(published) > REQUEST_BYTES_MAX:
        return None
    try:
        return OpenRequest(**json.loads(vault.unseal(_request_place(job_id, attempt), published.decode())))
    except (VaultError, ValueError, TypeError):
        return None


class Sealer:
    """Seals, or unseals, the messages of one direction of one shell, in their order. Not thread-safe."""

    def __init__(self, vault: Vault, shell: str, direction: Direction) -> None:
        self._vault = vault
        self._place = f"shell/{shell}/{direction}"
        self._number = 0

    def seal(self, message: Message) -> str:
        """The next message as text."""
        return self._vault.seal(self._next_place(), message.kind + message.data.decode("latin-1"))

    def unseal(self, sealed: bytes) -> Message:
        """The next message. Raises VaultError for one that is not the next of this shell."""
        text = self._vault.unseal(self._next_place(), sealed.decode(errors="replace"))
        return Message(Kind(text[0]), text[1:].encode("latin-1"))

    def _next_place(self) -> str:
        self._number += 1
        return f"{self._place}/{self._number}"


def _request_place(job_id: int, attempt: int) -> str:
    return f"shell/open/{job_id}/{attempt}"
