"""The log store: segments in the blob store, and rows that say where each is."""

import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from workers.blobs import BlobStore, LocalBlobs
from workers.db.session import persist, reading, transaction
from workers.logs.backlog import Backlog
from workers.logs.cache import ByteCache
from workers.logs.files import folder_of_run, read_old_log
from workers.logs.pace import Pace
from workers.logs.reader import LogState, SegmentReader
from workers.logs.segments import segment_of
from workers.logs.uploads import Uploads, folder_of
from workers.logs.writer import SegmentWriter
from workers.store import logs as rows
from workers.store.logs import COMPLETE, CUT, OPEN, LogAddress

CACHE_BYTES_MAX = 8 * 1024**2
READ_MAY_LAST_MS = 60_000
"""A merged blob stays so long: a reader that knows of it may be reading."""
_DELETED_AT_ONCE = 200


class SegmentLogs:
    """See ``LogStore``. ``old_files`` is the folder of logs of versions before the blob store."""

    def __init__(self, database: Engine, blobs: BlobStore, pace: Pace, spool: Path, old_files: Path) -> None:
        self._database = database
        self._blobs = blobs
        self._pace = pace
        self._spool = spool
        self._old_files = LocalBlobs(old_files)
        self._cache = ByteCache(CACHE_BYTES_MAX)

    @property
    def flush_after_ms(self) -> int:
        """See ``LogStore``."""
        return self._pace.flush_after_ms

    def writer(self, run_id: int, job_id: int, step_number: int, attempt: int) -> SegmentWriter:  # noqa: ARG002
        """See ``LogStore``."""
        address, fresh = LogAddress(job_id, attempt, step_number), secrets.token_hex(16)
        key = persist(self._database, lambda session: rows.open_log(session, address, fresh))
        stored, number = [], 0
        if key != fresh:
            with reading(self._database) as session:
                found = map(segment_of, rows.segments_of(session, key))
                stored = sorted(found, key=lambda segment: segment.raw_offset)
                number = rows.next_segment_number(session, key)
        backlog = Backlog(self._spool, self._pace.waiting_bytes_max)
        uploads = Uploads(self._database, self._blobs, self._pace, address, key, stored, number, backlog)
        return SegmentWriter(key, uploads, self._pace, stored)

    def open(self, run_id: int, job_id: int, step_number: int, attempt: int) -> SegmentReader:
        """See ``LogStore``."""
        address = LogAddress(job_id, attempt, step_number)
        with reading(self._database) as session:
            old = rows.find_log(session, address).before_blobs
        if old:
            found = read_old_log(self._old_files, run_id, job_id, step_number, attempt)
            all_of_it = LogState(found.complete, cut_off=False, segments=found.segments)
            return SegmentReader(self._old_files, self._cache, lambda _after: all_of_it)
        return SegmentReader(self._blobs, self._cache, partial(self._load, address))

    def _load(self, address: LogAddress, after: int) -> LogState:
        with reading(self._database) as session:
            # The state comes first: what is read of a complete log after it is all of it.
            found = rows.find_log(session, address)
            new = list(map(segment_of, rows.segments_of(session, found.key, after))) if found.key else []
        lost = found.state == CUT or (found.state == OPEN and bool(found.key) and not found.running)
        return LogState(found.state == COMPLETE, lost, new)

    def delete_run(self, run_id: int) -> None:
        """See ``LogStore``."""
        with transaction(self._database) as session:
            old = rows.ran_before_blobs(session, [run_id])
            rows.let_logs_go(session, [run_id])
        self.delete_old_files(old)
        self.delete_marked()

    def delete_old_files(self, run_ids: Sequence[int]) -> None:
        """See ``LogStore``."""
        for run_id in run_ids:
            self._old_files.delete_folder(folder_of_run(run_id))

    def delete_marked(self) -> int:
        """See ``LogStore``. First the blobs, then their rows: after a crash in between, the next call goes on."""
        self._hand_over_shared()
        count, failure = self._delete_logs()
        while merged := self._marked_segments():
            self._blobs.delete([blob for _key, _number, blob in merged])
            with transaction(self._database) as session:
                rows.forget_segments(session, merged)
            count += len(merged)
        if failure is not None:
            raise failure
        return count

    def _delete_logs(self) -> tuple[int, OSError | None]:
        """Deletes the logs without a job. One that cannot be deleted does not keep the others. Returns the first error.

        A log's whole folder goes: a worker may have died between a blob and its row.
        """
        count, failure, after = 0, None, ""
        while found := self._marked_logs(after):
            for key in found:
                try:
                    self._blobs.delete_folder(folder_of(key))
                except OSError as error:
                    failure = failure or error
                    continue
                with transaction(self._database) as session:
                    rows.forget_log(session, key)
                count += 1
            after = found[-1]
        return count, failure

    def _hand_over_shared(self) -> None:
        while self._has_shared():  # nearly never: a look does not keep writers waiting
            with transaction(self._database) as session:
                rows.hand_over_shared(session, _DELETED_AT_ONCE)

    def _has_shared(self) -> bool:
        with reading(self._database) as session:
            return rows.has_shared_to_hand_over(session)

    def _marked_logs(self, after: str) -> Sequence[str]:
        with reading(self._database) as session:
            return rows.logs_to_delete(session, _DELETED_AT_ONCE, after)

    def _marked_segments(self) -> list[tuple[str, int, str]]:
        with reading(self._database) as session:
            return rows.segments_to_delete(session, READ_MAY_LAST_MS, _DELETED_AT_ONCE)
