"""The batcher of webhooks, on a real event loop and with real threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.services import eventually
from web.hooks.batching import Batcher


class Work:
    """Returns ten times each item. Every call waits until ``go`` is set."""

    def __init__(self, check: Callable[[int], object] = lambda _: None) -> None:
        self.calls: list[list[int]] = []
        self.go = threading.Event()
        self._check = check

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        assert self.go.wait(10)
        for item in items:
            self._check(item)
        return [item * 10 for item in items]


def raise_for(item: int, error: Exception) -> Callable[[int], object]:
    def check(given: int) -> None:
        if given == item:
            raise error

    return check


async def batched_behind_item_0(work: Work, items: Sequence[int], batch_max: int = 64) -> list[Any]:
    """The results of item 0, which gets a batch of its own, and of ``items``, which arrive while that batch runs."""
    batcher = Batcher(work, batch_max=batch_max)
    tasks = [asyncio.create_task(batcher(0))]
    await asyncio.to_thread(eventually, lambda: work.calls)
    tasks += [asyncio.create_task(batcher(item)) for item in items]
    await asyncio.sleep(0)
    work.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_items_that_arrive_while_a_batch_runs_go_into_the_next_batch_in_order() -> None:
    work = Work()
    assert run(batched_behind_item_0(work, [3, 1, 2])) == [0, 30, 10, 20]
    assert work.calls == [[0], [3, 1, 2]]


def test_no_batch_is_larger_than_the_limit() -> None:
    work = Work()
    assert run(batched_behind_item_0(work, [1, 2, 3, 4, 5], batch_max=2)) == [0, 10, 20, 30, 40, 50]
    assert work.calls == [[0], [1, 2], [3, 4], [5]]


def test_an_item_that_fails_does_not_fail_the_others_of_its_batch() -> None:
    error = ValueError("no")
    work = Work(raise_for(2, error))
    assert run(batched_behind_item_0(work, [1, 2, 3])) == [0, 10, error, 30]
    assert work.calls == [[0], [1, 2, 3], [1], [2], [3]]


def test_a_database_that_does_not_answer_fails_the_whole_batch_without_a_retry() -> None:
    error = OperationalError("", {}, Exception("database is locked"))
    work = Work(raise_for(2, error))
    assert run(batched_behind_item_0(work, [1, 2, 3])) == [0, error, error, error]
    assert work.calls == [[0], [1, 2, 3]]


def test_work_that_returns_too_few_results_is_an_error_and_does_not_hang() -> None:
    def return_nothing(_items: Sequence[int]) -> list[int]:
        return []

    async def ask() -> int:
        return await Batcher(return_nothing, batch_max=8)(1)

    with pytest.raises(ValueError, match="zip"):
        run(ask())


def test_a_caller_that_is_cancelled_does_not_block_the_others() -> None:
    work = Work()

    async def ask() -> list[Any]:
        batcher = Batcher(work, batch_max=64)
        first = asyncio.create_task(batcher(0))
        await asyncio.to_thread(eventually, lambda: work.calls)
        cancelled, other = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        first.cancel()
        cancelled.cancel()
        work.go.set()
        return list(await asyncio.gather(first, cancelled, other, batcher(3), return_exceptions=True))

    first, cancelled, other, late = run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert (other, late) == (20, 30)


def test_a_batcher_works_again_after_it_was_idle() -> None:
    work = Work()
    work.go.set()

    async def ask() -> list[int]:
        batcher = Batcher(work, batch_max=64)
        return [await batcher(item) for item in (1, 2, 3)]

    assert run(ask()) == [10, 20, 30]
    assert work.calls == [[1], [2], [3]]


@pytest.mark.parametrize("senders", [3, 1])
def test_callers_of_one_batch_that_call_again_at_once_share_the_next_batch(senders: int) -> None:
    work = Work()
    work.go.set()
    batcher = Batcher(work, batch_max=64)

    async def ask(item: int) -> None:
        await batcher(item)
        if item <= senders:
            await batcher(item + 10)

    async def ask_all() -> None:
        await asyncio.gather(*map(ask, [1, 2, 3]))

    run(ask_all())
    assert work.calls == [[1, 2, 3], [11, 12, 13][:senders]]
