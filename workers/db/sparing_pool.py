"""The connections of a worker process to PostgreSQL: one serves all its threads in turn."""

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty

PATIENCE_S = 0.1
"""For so long a thread waits for the one connection before it opens another. A lease's renewal can wait for that."""


class SparingPool(QueuePool):
    """Opens a second connection only where the first is not free within ``PATIENCE_S``, and closes it after its use.

    Transactions are short, so that happens where one hangs, or where a thread begins one inside another.
    """

    def _do_get(self) -> ConnectionPoolEntry:
        if self.checkedout():
            try:
                return self._pool.get(block=True, timeout=PATIENCE_S)
            except Empty:
                pass
        return super()._do_get()
