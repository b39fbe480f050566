"""The stream of a run's page and of the front page: an event whenever the page would read differently."""

import json
import time
from collections.abc import AsyncGenerator, Callable, Hashable

from web.streaming.hub import Hub
from web.streaming.snapshots import Snapshot

HEARTBEAT_S = 15.0
HEARTBEAT = b": \n\n"


class HeartbeatTimer:
    """Says when a stream has been silent for so long that proxies would close it."""

    def __init__(self) -> None:
        self.sent()

    @property
    def left_s(self) -> float:
        """Seconds until a heartbeat is due."""
        return max(0.0, self._due_s - time.monotonic())

    def sent(self) -> None:
        """Something was sent: the next heartbeat is due ``HEARTBEAT_S`` from now."""
        self._due_s = time.monotonic() + HEARTBEAT_S

    def due(self) -> bool:
        """True once for every ``HEARTBEAT_S`` in which nothing was sent."""
        due = not self.left_s
        if due:
            self.sent()
        return due


def event(kind: str, data: str, position: int | None = None) -> bytes:
    """One server-sent event."""
    head = "" if position is None else f"id: {position}\n"
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


async def change_events(
    hub: Hub, key: Hashable, channel: str, take_snapshot: Callable[[], Snapshot], seen: str
) -> AsyncGenerator[bytes, None]:
    """``changed`` for each version after ``seen``, and ``end`` with the final state.

    Ends also when the row is removed or the database does not answer: browsers open the stream again.
    """
    heartbeat = HeartbeatTimer()
    with hub.stream() as stream, stream.snapshot(key, channel, take_snapshot) as rows:
        read = rows.request(stream.wake)
        while not (hub.stopping or rows.failure):
            now = rows.now if rows.finished_reads >= read else None
            if now and now.version != seen:
                seen = now.version
                yield event("changed", seen)
                heartbeat.sent()
            if now and now.final:
                yield event("end", json.dumps({"state": now.state}))
                return
            await stream.wait(heartbeat.left_s)
            if heartbeat.due():
                yield HEARTBEAT
