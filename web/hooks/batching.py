"""Batches work that costs nearly as much for one item as for twenty."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import OperationalError

_GATHER_S = 0.002

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Calls ``work`` in a thread, one batch at a time. Items that arrive while a batch runs go into the next batch.

    ``work`` returns one result for each item, in the order of the items. If it raises, each item of the batch is tried
    again in a batch of its own, so that one bad item does not fail the others: ``work`` must have no effect when it
    raises, or be idempotent. Only an OperationalError fails the whole batch at once: the database does not answer, and
    would not answer the single items either. To be used from one event loop.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]], *, batch_max: int) -> None:
        self._work = work
        self._batch_max = batch_max
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._expected = 0
        self._all_arrived: asyncio.Future[None] | None = None
        # A thread of its own: batches go on while all threads of the pages are taken.
        self._thread = CapacityLimiter(1)

    async def __call__(self, item: T) -> R:
        """The result for this item. Raises what ``work`` raised for it."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._all_arrived and len(self._waiting) == self._expected:
            self._all_arrived.set_result(None)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run_batches())
        return await result

    async def _run_batches(self) -> None:
        try:
            await asyncio.sleep(0)
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
                await self._run_batch(batch)
                # A single sender does not wait.
                if len(batch) > 1:
                    await self._gather(len(batch))
        finally:
            self._runner = None

    async def _gather(self, answered: int) -> None:
        """Waits up to 2 ms for as many items as were just answered: their senders often send again at once."""
        if len(self._waiting) < answered:
            self._expected, self._all_arrived = answered, asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_arrived], timeout=_GATHER_S)
            self._all_arrived = None

    async def _run_batch(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await to_thread.run_sync(self._work, [item for item, _ in batch], limiter=self._thread)
            answered = list(zip(batch, results, strict=True))
        except OperationalError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - raised again in the caller that waits for the item
            if len(batch) == 1:
                _fail(batch, error)
                return
            for single in batch:
                await self._run_batch([single])
        else:
            for (_, waiting), result in answered:
                # The caller may have been cancelled.
                if not waiting.done():
                    waiting.set_result(result)


def _fail(batch: Sequence[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    for _, waiting in batch:
        if not waiting.done():
            waiting.set_exception(error)
