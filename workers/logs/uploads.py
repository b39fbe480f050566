"""Brings the segments of one log into the blob store and into rows, and merges small ones."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from workers import store
from workers.blobs import BlobError, BlobStore
from workers.db.session import persist
from workers.logs.backlog import Backlog
from workers.logs.interface import LogDamagedError
from workers.logs.pace import Pace
from workers.logs.segments import Segment, merged
from workers.store.logs import LogAddress

_MERGED_AT_THE_END_MIN = 4
"""So many small segments at the end of a log are merged; of fewer, the end of the step would wait for nothing."""

_log = structlog.get_logger()


def folder_of(log_key: str) -> str:
    """The folder of a log's blobs."""
    return f"logs/{log_key[:2]}/{log_key}"


class Uploads:
    """Stores the segments of one log in order. May be used from several threads: one works, the others wait.

    ``stored`` are the segments that hold the log's bytes.
    """

    def __init__(
        self,
        database: Engine,
        blobs: BlobStore,
        pace: Pace,
        address: LogAddress,
        log_key: str,
        stored: Sequence[Segment],
        next_number: int,
        backlog: Backlog,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._pace = pace
        self._address = address
        self._log_key = log_key
        self._next_number = next_number
        self._backlog = backlog
        self._working = threading.Lock()
        self._guard = threading.Lock()
        self.stored = list(stored)

    def add(self, segment: Segment, blob: bytes) -> None:
        """Queues a segment. Raises OSError where the spool's disk is full; then it is not queued."""
        with self._guard:
            self._backlog.add(segment, blob)

    @property
    def is_full(self) -> bool:
        """True while as much waits as there may be in memory."""
        with self._guard:
            return self._backlog.is_full

    def drain(self) -> None:
        """Stores all that is queued. What could not be stored stays queued. Raises OSError and StaleAttemptError."""
        with self._working:
            self._drain("")

    def finish(self, state: str) -> None:
        """Stores all that is queued, and notes that the log has ended so. Then merges what is small at its end."""
        with self._working:
            if not self._drain(state):
                self._write(lambda session: store.logs.end_log(session, self._address, self._log_key, state))
            if state == store.logs.COMPLETE:
                self._merge_the_end()

    def cut(self) -> None:
        """Notes that the rest could not be stored."""
        with self._working:
            self._write(lambda session: store.logs.end_log(session, self._address, self._log_key, store.logs.CUT))

    def _drain(self, end_state: str) -> bool:
        """Notes ``end_state`` in one transaction with the last segment. False where there was none."""
        stored_last = False
        while True:
            with self._guard:
                first, is_last = self._backlog.first(), len(self._backlog) == 1
            if first is None:
                return stored_last
            self._store(*first, end_state=end_state if is_last else "")
            stored_last = True
            with self._guard:
                self._backlog.pop()
            self._merge_full_levels()

    def close(self) -> None:
        """Drops what is queued."""
        with self._working, self._guard:
            self._backlog.close()

    def _store(
        self, segment: Segment, blob: bytes, replaces: Sequence[Segment] = (), end_state: str = ""
    ) -> None:  # fmt: skip
        # In the order of their numbers: readers ask for what came after the last number that they know.
        segment = replace(segment, number=self._next_number)
        self._blobs.put(segment.blob, blob, durable=False)
        numbers = [each.number for each in replaces]

        def add(session: Session) -> None:
            store.logs.add_segment(session, self._address, segment.values(self._log_key), numbers)
            if end_state:
                store.logs.end_log(session, self._address, self._log_key, end_state)

        try:
            self._write(add)
        except store.StaleAttemptError:
            self._take_back(segment)
            raise
        self._next_number += 1
        self.stored[len(self.stored) - len(replaces) :] = [segment]

    def _write(self, change: Callable[[Session], None]) -> None:
        persist(self._database, change)

    def _take_back(self, segment: Segment) -> None:
        """No row names the blob, so nothing else would delete it."""
        try:
            self._blobs.delete([segment.blob])
        except OSError as error:
            _log.warning("a blob that no row names was left", blob=segment.blob, error=str(error))

    def _merge_full_levels(self) -> None:
        count = self._pace.merge_count
        while len(newest := self.stored[-count:]) == count and len({each.level for each in newest}) == 1:
            if not self._merge(newest):
                return

    def _merge_the_end(self) -> None:
        small: list[Segment] = []
        room = self._pace.merged_bytes_max
        for segment in reversed(self.stored):
            if segment.raw_bytes > min(room, self._pace.merged_bytes_max // self._pace.merge_count):
                break
            small.insert(0, segment)
            room -= segment.raw_bytes
        if len(small) >= _MERGED_AT_THE_END_MIN:
            self._merge(small)

    def _merge(self, small: Sequence[Segment]) -> bool:
        """False where they are too large together, or the store does not take the result: then they stay."""
        if sum(each.raw_bytes for each in small) > self._pace.merged_bytes_max:
            return False
        try:
            parts = [(each, self._blobs.read(each.blob, 0, each.blob_bytes)) for each in small]
            level = max(each.level for each in small) + 1
            result = merged(parts, folder_of(self._log_key), level)
            self._store(*result, replaces=small)
        except (BlobError, OSError, LogDamagedError) as error:
            _log.warning("small parts of a log were not merged", log=self._log_key, error=str(error))
            return False
        return True
