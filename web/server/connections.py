"""Limits of what one connection, one address and all of them together may hold of the server, and who holds it now."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from web.security.client_address import Network, is_in


@dataclass(frozen=True)
class ConnectionLimits:
    """What a client may take. Whoever takes more is disconnected, with a status if there is still time for one."""

    request_line_bytes_max: int = 8 * 1024
    head_bytes_max: int = 32 * 1024
    """Request line and headers together; and likewise the trailers of a chunked body."""
    head_s: float = 10.0
    """From the connection, or the first byte of a further request, to the end of the headers."""
    body_s: float = 60.0
    """From the end of the headers to the end of the body."""
    send_buffer_bytes: int = 256 * 1024
    """What the system holds of a response for a slow client. By itself it would grow to megabytes, and take them in
    steps so large that a slow client seems to take nothing."""
    stalled_s: float = 60.0
    """In this time a client must take ``taken_bytes_min`` of a response that waits for it."""
    taken_bytes_min: int = 8 * 1024
    unread_bytes_max: int = 32 * 1024 * 1024
    """Of a body that still comes after the response: it is received and thrown away, so that the client can read."""
    pipelined_max: int = 16
    """Further requests on a connection that wait for the first one's response."""
    connections_max: int = 8_192
    waiting_per_address_max: int = 256
    """Connections of one address with no complete request on them. The oldest makes room for a new one."""
    check_every_s: float = 1.0
    trusted: Sequence[Network] = ()
    """Proxies: they bring the connections of many clients, so only the total limits theirs."""


class Connection(Protocol):
    """A connection as the table sees it."""

    address: str
    group: str

    def check(self, now_s: float) -> None:
        """Disconnects the client if its time is over."""

    def evict(self) -> None:
        """Disconnects the client: another one needs the room."""


class ConnectionTable:
    """All open connections of a server. To be used from its event loop."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: set[Connection] = set()
        # In the order in which they began to wait.
        self._waiting: dict[Connection, None] = {}
        self._by_group: dict[str, dict[Connection, None]] = {}
        self._sweeping = False

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> bool:
        """Counts a new connection. False if it must be refused: all others have a request that is being answered."""
        if len(self._open) >= self._limits.connections_max:
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            self.closed(oldest)
            oldest.evict()
        self._open.add(connection)
        self.waits(connection)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._limits.check_every_s, self._sweep, loop)
        return True

    def waits(self, connection: Connection) -> None:
        """No complete request is on the connection."""
        if connection not in self._open or connection in self._waiting:
            return
        self._waiting[connection] = None
        own = self._by_group.setdefault(connection.group, {})
        own[connection] = None
        if len(own) > self._limits.waiting_per_address_max and not is_in(connection.address, self._limits.trusted):
            oldest = next(iter(own))
            self.closed(oldest)
            oldest.evict()

    def works(self, connection: Connection) -> None:
        """The connection has a complete request, which is answered now."""
        if connection in self._waiting:
            del self._waiting[connection]
            own = self._by_group[connection.group]
            del own[connection]
            if not own:
                del self._by_group[connection.group]

    def closed(self, connection: Connection) -> None:
        """The connection no longer counts."""
        self.works(connection)
        self._open.discard(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for connection in list(self._open):
            connection.check(now_s)
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(self._limits.check_every_s, self._sweep, loop)
