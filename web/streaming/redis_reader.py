"""Reads Redis streams without blocking the event loop."""

from dataclasses import dataclass
from typing import Any, cast

from anyio import sleep
from redis import RedisError
from redis.asyncio import Redis

RETRY_S = 0.1
_ENTRIES_MAX = 8  # half a MiB: what stays in memory for a browser that stops reading

Entries = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass
class RedisReader:
    """Reads each stream from the entry after ``last_ids[key]``. The caller sets that to the last entry it handled."""

    redis: Redis
    last_ids: dict[str, bytes]

    async def start_at_end(self, key: str) -> None:
        """Reads of this stream only what is added from now on."""
        try:
            last: Any = await self.redis.xrevrange(key, count=1)
        except (RedisError, OSError):
            last = []
        self.last_ids[key] = last[0][0] if last else b"0-0"

    async def read(self, block_ms: int) -> dict[str, Entries]:
        """New entries by key; waits at most ``block_ms`` for the first. Empty while Redis does not answer."""
        try:
            answer: Any = await self.redis.xread(cast("Any", self.last_ids), count=_ENTRIES_MAX, block=block_ms)
        except (RedisError, OSError):
            await sleep(RETRY_S)
            return {}
        return {
            key.decode(): entries for key, entries in (answer.items() if isinstance(answer, dict) else answer or ())
        }

    def skip(self, key: str, entries: Entries) -> bool:
        """Marks entries as handled that say only that something changed; whether there were any."""
        if entries:
            self.last_ids[key] = entries[-1][0]
        return bool(entries)
