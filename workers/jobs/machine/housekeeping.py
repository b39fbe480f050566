"""When this machine is cleaned: every ten minutes, and soon when its disk is nearly full, by one process at a time."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from workers.disk import MEASURE_EVERY_S, disk_of, pause_after_measuring_s
from workers.jobs.machine.removal_choice import to_free
from workers.settings import Settings

SOON_S = 60.0
_log = structlog.get_logger()


class Housekeeping:
    """A thread in each process of a worker. The processes of all workers on the machine agree by a locked file."""

    def __init__(self, settings: Settings, clean: Callable[[], None]) -> None:
        self._settings = settings
        self._clean = clean
        self._pause_s = MEASURE_EVERY_S
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Starts the thread. It ends with the process."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after its round."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self.clean_if_due()
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on, and the next round tries again
                _log.warning("this machine could not be cleaned", error=f"{type(error).__name__}: {error}")
            if self._stop.wait(SOON_S):
                return

    def clean_if_due(self) -> bool:
        """Cleans, if it is time and no other process does. Returns whether it did."""
        path = self._settings.housekeeping_lock
        if not self._is_due(path):
            return False
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            began_s = time.monotonic()
            try:
                self._clean()
            except SQLAlchemyError as error:
                _log.warning("the use of this machine's disk could not be reported", error=str(error))
            self._pause_s = pause_after_measuring_s(time.monotonic() - began_s)
            os.utime(path)
        return True

    def _is_due(self, path: Path) -> bool:
        try:
            passed_s = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return True
        if passed_s >= self._pause_s or passed_s < 0:
            return True
        disk = disk_of(self._settings.data_dir)
        full = to_free(disk.total_bytes, disk.free_bytes, *self._settings.disk_marks)
        return bool(full) and passed_s >= SOON_S
