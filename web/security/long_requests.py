"""Requests that may run for long, downloads, searches and sent trees: how many at once, of a user and of all."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, TypeVar, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

RETRY_AFTER_S = 10

T = TypeVar("T")


class TooManyAtOnceError(Exception):
    """As many as are allowed run already. Answered with status 429."""


@dataclass(frozen=True)
class Room:
    """How many requests of a kind run at once: of one user, and of all. ``threads_max`` of them work at a time."""

    of_user_max: int
    all_max: int
    threads_max: int


ARCHIVES = Room(of_user_max=2, all_max=20, threads_max=2)
"""Packed while they are sent, which takes a processor. Who reads slowly holds a place, and no thread."""
FILES = Room(of_user_max=100, all_max=400, threads_max=10)
"""Artifacts and logs as they are. A report in a frame may ask for a hundred of its files at once."""


SEARCHES = Room(of_user_max=4, all_max=40, threads_max=2)
"""In logs. Each takes a processor for up to two seconds."""
TREES = Room(of_user_max=2, all_max=8, threads_max=2)
"""Working trees that are being received. Each holds a file of up to the limit of a body."""
GROUPS = Room(of_user_max=100, all_max=400, threads_max=2)
"""Looking for what a log's lines belong to, for as long. Each page of a log asks once, and the others wait."""

SHELLS = Room(of_user_max=4, all_max=64, threads_max=4)
"""In running steps. Each holds two connections to Redis, and asks the database every few seconds."""


class Slot:
    """The right of a user to one more request, until it is given back."""

    def __init__(self, give_back: Callable[[], None], threads: CapacityLimiter) -> None:
        self._give_back, self.threads = give_back, threads
        self._taken = True

    def close(self) -> None:
        """Gives it back; once."""
        if self._taken:
            self._taken = False
            self._give_back()


class Slots:
    """Counts the requests of one kind in this process.

    They have threads of their own: pages and hooks do not wait for a blob store that is slow, or for one who packs.
    ``what`` names the kind in sentences.
    """

    def __init__(self, room: Room, what: str) -> None:
        self._room, self._what = room, what
        self._running: Counter[int | None] = Counter()
        self._lock = Lock()
        self.threads = CapacityLimiter(room.threads_max)

    def take(self, user_id: int | None) -> Slot:
        """A slot for this user. Raises TooManyAtOnceError."""
        with self._lock:
            if self._running[user_id] >= self._room.of_user_max:
                raise TooManyAtOnceError(
                    f"You have {self._room.of_user_max} {self._what} at once, which is the limit. "
                    "Wait until one has ended."
                )
            if self._running.total() >= self._room.all_max:
                raise TooManyAtOnceError(
                    f"There are {self._room.all_max} {self._what} at once, which is the limit. Try again in a moment."
                )
            self._running[user_id] += 1
        return Slot(lambda: self._end(user_id), self.threads)

    async def run(self, user_id: int | None, work: Callable[[], T]) -> T:
        """What ``work`` returns, called in the threads of this kind. Raises TooManyAtOnceError."""
        with closing(self.take(user_id)):
            return await to_thread.run_sync(work, limiter=self.threads)

    @contextmanager
    def _slot(self, user_id: int | None) -> Iterator[Slot]:
        """A slot for a response, which frees it; where there is none after all, it is free at once."""
        slot = self.take(user_id)
        try:
            yield slot
        except BaseException:
            slot.close()
            raise

    def _end(self, user_id: int | None) -> None:
        with self._lock:
            self._running[user_id] -= 1
            if not self._running[user_id]:
                del self._running[user_id]

    def response(
        self,
        user_id: int | None,
        opened: Callable[[], Iterator[bytes]],
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> StreamingResponse:
        """The response with what ``opened`` returns, called when there is room. Raises TooManyAtOnceError."""
        with self._slot(user_id) as slot:
            return _Response(slot, opened(), headers, media_type)

    async def opened_apart(
        self,
        user_id: int | None,
        opened: Callable[[], Iterator[bytes]],
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> StreamingResponse:
        """The same, opened in the threads of this kind: that may wait for the blob store, too."""
        with self._slot(user_id) as slot:
            return _Response(slot, await to_thread.run_sync(opened, limiter=self.threads), headers, media_type)


class _Response(StreamingResponse):
    def __init__(self, slot: Slot, pieces: Iterator[bytes], headers: Mapping[str, str], media_type: str | None) -> None:
        super().__init__(_read(pieces, slot.threads), headers=headers, media_type=media_type)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it; ends also when the client goes away, or is too slow."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slot.close()


async def _read(pieces: Iterator[bytes], threads: CapacityLimiter) -> AsyncIterator[bytes]:
    while (piece := await to_thread.run_sync(next, pieces, None, limiter=threads)) is not None:
        yield piece


@dataclass(frozen=True)
class LongRequests:
    """Those of an application."""

    archives: Slots
    files: Slots
    searches: Slots
    groups: Slots
    trees: Slots
    shells: Slots


def long_requests() -> LongRequests:
    """Those of a new application."""
    return LongRequests(
        Slots(ARCHIVES, "downloads of archives"),
        Slots(FILES, "downloads of files"),
        Slots(SEARCHES, "searches in logs"),
        Slots(GROUPS, "logs being read for their groups"),
        Slots(TREES, "working trees being sent"),
        Slots(SHELLS, "shells in running steps"),
    )


async def _of_application(request: Request) -> LongRequests:
    return cast("LongRequests", request.app.state.long_requests)


LongRequestsDep = Annotated[LongRequests, Depends(_of_application)]
