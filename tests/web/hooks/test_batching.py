"""Sharing turns, on a real event loop and with real threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.services import eventually
from web.hooks.batching import Batcher


class Work:
    """Answers with ten times the item. What is called for the first time waits for ``go``."""

    def __init__(self, harm: Callable[[int], object] = lambda _: None) -> None:
        self.calls: list[list[int]] = []
        self.go = threading.Event()
        self._harm = harm

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        assert self.go.wait(10)
        for item in items:
            self._harm(item)
        return [item * 10 for item in items]


def fail_with(error: Exception, item: int) -> Callable[[int], object]:
    def harm(given: int) -> None:
        if given == item:
            raise error

    return harm


async def behind(work: Work, items: Sequence[int], batch_max: int = 64) -> list[Any]:
    """What becomes of item 0, which comes alone, and of ``items``, which come while it is dealt with."""
    batcher = Batcher(work, batch_max=batch_max)
    tasks = [asyncio.create_task(batcher(0))]
    await asyncio.to_thread(eventually, lambda: work.calls)
    tasks += [asyncio.create_task(batcher(item)) for item in items]
    await asyncio.sleep(0)
    work.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_those_who_come_while_work_is_done_share_the_next_turn_in_their_order() -> None:
    work = Work()
    assert run(behind(work, [3, 1, 2])) == [0, 30, 10, 20]
    assert work.calls == [[0], [3, 1, 2]]


def test_no_turn_takes_more_than_it_may() -> None:
    work = Work()
    assert run(behind(work, [1, 2, 3, 4, 5], batch_max=2)) == [0, 10, 20, 30, 40, 50]
    assert work.calls == [[0], [1, 2], [3, 4], [5]]


def test_one_that_cannot_be_dealt_with_spoils_no_other() -> None:
    error = ValueError("no")
    work = Work(fail_with(error, 2))
    assert run(behind(work, [1, 2, 3])) == [0, 10, error, 30]
    assert work.calls == [[0], [1, 2, 3], [1], [2], [3]]


def test_a_database_that_does_not_answer_is_told_to_all_at_once() -> None:
    error = OperationalError("", {}, Exception("database is locked"))
    work = Work(fail_with(error, 2))
    assert run(behind(work, [1, 2, 3])) == [0, error, error, error]
    assert work.calls == [[0], [1, 2, 3]]


def test_work_that_answers_too_few_is_an_error_for_everybody_and_no_hang() -> None:
    def answers_nothing(_items: Sequence[int]) -> list[int]:
        return []

    async def ask() -> int:
        return await Batcher(answers_nothing, batch_max=8)(1)

    with pytest.raises(ValueError, match="zip"):
        run(ask())


def test_whoever_goes_away_holds_nobody_up() -> None:
    work = Work()

    async def ask() -> list[Any]:
        batcher = Batcher(work, batch_max=64)
        first = asyncio.create_task(batcher(0))
        await asyncio.to_thread(eventually, lambda: work.calls)
        leaver, stayer = asyncio.create_task(batcher(1)), asyncio.create_task(batcher(2))
        await asyncio.sleep(0)
        first.cancel()
        leaver.cancel()
        work.go.set()
        return list(await asyncio.gather(first, leaver, stayer, batcher(3), return_exceptions=True))

    gone, left, stayed, late = run(ask())
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(left, asyncio.CancelledError)
    assert (stayed, late) == (20, 30)


def test_after_a_rest_it_goes_on() -> None:
    work = Work()
    work.go.set()

    async def ask() -> list[int]:
        batcher = Batcher(work, batch_max=64)
        return [await batcher(item) for item in (1, 2, 3)]

    assert run(ask()) == [10, 20, 30]
    assert work.calls == [[1], [2], [3]]


@pytest.mark.parametrize("coming_again", [3, 1])
def test_whoever_was_answered_batcher_and_comes_again_shares_the_next_turn_too(coming_again: int) -> None:
    work = Work()
    work.go.set()
    batcher = Batcher(work, batch_max=64)

    async def ask(item: int) -> None:
        await batcher(item)
        if item <= coming_again:
            await batcher(item + 10)

    async def ask_all() -> None:
        await asyncio.gather(*map(ask, [1, 2, 3]))

    run(ask_all())
    assert work.calls == [[1, 2, 3], [11, 12, 13][:coming_again]]
