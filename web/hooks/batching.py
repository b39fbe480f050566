"""Work that costs nearly as much for one caller as for twenty: whoever comes while it is done shares the next turn."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import OperationalError

_GATHER_S = 0.002

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Calls ``work`` in a thread, one call at a time, with all that was handed in since the call before.

    ``work`` answers to each item, in their order. Where it raises, each item gets a call of its own, so that one which
    cannot be dealt with spoils no other: what was done before must not count, or be safe to do again. A database that
    does not answer is everybody's trouble, though: all hear of it at once. To be used from one event loop.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]], *, items_max: int) -> None:
        self._work = work
        self._items_max = items_max
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._turns: asyncio.Task[None] | None = None
        self._expected = 0
        self._all_here: asyncio.Future[None] | None = None
        # Apart from the pages' threads: while those are all taken, this goes on.
        self._thread = CapacityLimiter(1)

    async def __call__(self, item: T) -> R:
        """What ``work`` answers to this item, or raises for it."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._all_here and len(self._waiting) == self._expected:
            self._all_here.set_result(None)
        if self._turns is None:
            self._turns = asyncio.create_task(self._take_turns())
        return await answer

    async def _take_turns(self) -> None:
        try:
            await asyncio.sleep(0)
            while self._waiting:
                turn, self._waiting = self._waiting[: self._items_max], self._waiting[self._items_max :]
                await self._take_turn(turn)
                # Alone, nobody waits.
                if len(turn) > 1:
                    await self._gather(len(turn))
        finally:
            self._turns = None

    async def _gather(self, answered: int) -> None:
        """Whoever was just answered is about to come again, one after the other: waits for as many, but not long."""
        if len(self._waiting) < answered:
            self._expected, self._all_here = answered, asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_here], timeout=_GATHER_S)
            self._all_here = None

    async def _take_turn(self, turn: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await to_thread.run_sync(self._work, [item for item, _ in turn], limiter=self._thread)
            answered = list(zip(turn, results, strict=True))
        except OperationalError as error:
            _fail(turn, error)
        except Exception as error:  # noqa: BLE001 - raised again where the item was handed in
            if len(turn) == 1:
                _fail(turn, error)
                return
            for alone in turn:
                await self._take_turn([alone])
        else:
            for (_, answer), result in answered:
                # Whoever asked may have gone away.
                if not answer.done():
                    answer.set_result(result)


def _fail(turn: Sequence[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    for _, answer in turn:
        if not answer.done():
            answer.set_exception(error)
