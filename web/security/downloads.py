"""Downloads that run for as long as a client takes: how many at once, of a user and of all."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

RETRY_AFTER_S = 10


class TooManyDownloadsError(Exception):
    """As many as are allowed run already. Answered with status 429."""


@dataclass(frozen=True)
class DownloadRoom:
    """How many downloads of a kind run at once: of one user, and of all. ``threads_max`` of them read at a time."""

    of_user_max: int
    all_max: int
    threads_max: int


ARCHIVES = DownloadRoom(of_user_max=2, all_max=20, threads_max=2)
"""Packed while they are sent, which takes a processor. Who reads slowly holds a place, and no thread."""
FILES = DownloadRoom(of_user_max=100, all_max=400, threads_max=10)
"""Artifacts and logs as they are. A report in a frame may ask for a hundred of its files at once."""


class Slot:
    """The right of a user to one more download, until it is given back."""

    def __init__(self, give_back: Callable[[], None], threads: CapacityLimiter) -> None:
        self._give_back, self.threads = give_back, threads
        self._taken = True

    def free(self) -> None:
        """Gives it back; once."""
        if self._taken:
            self._taken = False
            self._give_back()


class Downloads:
    """Counts the downloads of one kind in this process.

    They have threads of their own: pages and hooks do not wait for a blob store that is slow, or for one who packs.
    """

    def __init__(self, room: DownloadRoom, what: str) -> None:
        self._room, self._what = room, what
        self._running: Counter[int | None] = Counter()
        self._lock = Lock()
        self.threads = CapacityLimiter(room.threads_max)

    def take(self, user_id: int | None) -> Slot:
        """A slot for this user. Raises TooManyDownloadsError."""
        with self._lock:
            if self._running[user_id] >= self._room.of_user_max:
                raise TooManyDownloadsError(
                    f"You have {self._room.of_user_max} downloads of {self._what} at once, which is the limit. "
                    "Wait until one has ended."
                )
            if self._running.total() >= self._room.all_max:
                raise TooManyDownloadsError(
                    f"There are {self._room.all_max} downloads of {self._what} at once, which is the limit. "
                    "Try again in a moment."
                )
            self._running[user_id] += 1
        return Slot(lambda: self._end(user_id), self.threads)

    @contextmanager
    def _slot(self, user_id: int | None) -> Iterator[Slot]:
        """A slot for a response, which frees it; where there is none after all, it is free at once."""
        slot = self.take(user_id)
        try:
            yield slot
        except BaseException:
            slot.free()
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
        """The response with what ``opened`` returns, called when there is room. Raises TooManyDownloadsError."""
        with self._slot(user_id) as slot:
            return _Response(slot, opened(), headers, media_type)

    async def opened_apart(
        self,
        user_id: int | None,
        opened: Callable[[], Iterator[bytes]],
        headers: Mapping[str, str],
        media_type: str | None = None,
    ) -> StreamingResponse:
        """The same, opened in the threads of downloads: that may wait for the blob store, too."""
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
            self._slot.free()


async def _read(pieces: Iterator[bytes], threads: CapacityLimiter) -> AsyncIterator[bytes]:
    while (piece := await to_thread.run_sync(next, pieces, None, limiter=threads)) is not None:
        yield piece


@dataclass(frozen=True)
class DownloadLimits:
    """The downloads of an application."""

    archives: Downloads
    files: Downloads


def download_limits(archives: DownloadRoom = ARCHIVES, files: DownloadRoom = FILES) -> DownloadLimits:
    """Those of a new application."""
    return DownloadLimits(Downloads(archives, "archives"), Downloads(files, "files"))


async def _limits(request: Request) -> DownloadLimits:
    return cast("DownloadLimits", request.app.state.downloads)


DownloadsDep = Annotated[DownloadLimits, Depends(_limits)]
