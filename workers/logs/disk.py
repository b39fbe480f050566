"""The log store on disk: files under one folder. It is fast, and enough for one machine."""

import shutil
from pathlib import Path

from workers.logs.files import log_files, run_folder
from workers.logs.reader import DiskReader
from workers.logs.writer import DiskWriter


class DiskLogs:
    """See ``LogStore``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def writer(self, run_id: int, job_id: int, step_number: int, attempt: int) -> DiskWriter:
        """See ``LogStore``."""
        return DiskWriter(log_files(self._root, run_id, job_id, step_number, attempt))

    def open(self, run_id: int, job_id: int, step_number: int, attempt: int) -> DiskReader:
        """See ``LogStore``."""
        return DiskReader(log_files(self._root, run_id, job_id, step_number, attempt))

    def delete_run(self, run_id: int) -> None:
        """See ``LogStore``."""
        folder = run_folder(self._root, run_id)
        if folder.exists():
            shutil.rmtree(folder)
