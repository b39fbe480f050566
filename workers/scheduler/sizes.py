"""Measures what all machines share, now and then: the database, the logs, and what each repository has of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from workers.db.models import Base
from workers.db.session import reading, transaction
from workers.disk import pause_after_measuring_s
from workers.store.processes.disk_reports import SERVER, put_report
from workers.store.runs import sizes


@dataclass
class SharedSizes:
    """Measures every ten minutes, or less often where that takes long."""

    engine: Engine
    monotonic_s: Callable[[], float] = time.monotonic
    _due_s: float = 0

    def __call__(self) -> str:
        """Measures if it is time."""
        if (began_s := self.monotonic_s()) < self._due_s:
            return ""
        measure(self.engine)
        ended_s = self.monotonic_s()
        self._due_s = ended_s + pause_after_measuring_s(ended_s - began_s)
        return ""


def measure(engine: Engine) -> None:
    """Measures, in many short transactions, and stores the report."""
    rows = {_name(table): count for table, count in _rows(engine)}
    logs = sizes.added(_log_parts(engine))
    with reading(engine) as session:
        runs = sizes.runs_by_repo(session)
        database = sizes.database_bytes(session)
        artifacts = sizes.artifact_bytes(session)
    deleted = logs.pop(None, 0)
    repos = {str(each): {"runs": runs[each], "log_bytes": logs[each]} for each in runs}
    kinds = {"database": database, "logs": logs.total(), "deleted_logs": deleted, "artifacts": artifacts}
    facts = {"bytes": kinds, "rows": rows, "repos": repos}
    with transaction(engine) as session:
        put_report(session, SERVER, facts)


def _name(table: type[Base]) -> str:
    return str(table.__tablename__)


def _rows(engine: Engine) -> Iterator[tuple[type[Base], int]]:
    for table in sizes.LARGE:
        with reading(engine) as session:
            yield table, sizes.rows_of(session, table)


def _log_parts(engine: Engine) -> Iterator[Counter[int | None]]:
    for part in sizes.PARTS:
        with reading(engine) as session:
            yield sizes.log_bytes_by_repo(session, part)
