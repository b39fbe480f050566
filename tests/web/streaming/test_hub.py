"""Many open streams of one process: what they follow is read once, over two connections to Redis."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from fastapi import FastAPI
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from starlette.testclient import TestClient

from pipelines.state import State
from tests.support.services import RedisServer
from tests.web.conftest import Site
from web.operations.errors import NotFoundError
from web.streaming import hub as hub_module
from web.streaming.changes import change_events
from web.streaming.endpoints import TOO_MANY_STREAMS
from web.streaming.hub import Hub, Stream
from web.streaming.joined import ended
from web.streaming.shared_tail import SharedTail
from web.streaming.snapshots import Snapshot
from workers.streaming.redis_stream import CHANGES_CHANNEL, LiveTail, step_key

MANY = 300
OWN_CONNECTIONS = 1  # of the test's own client


class Rows:
    """What a page shows, and how often it was read."""

    def __init__(self) -> None:
        self.version = "1"
        self.state: State | None = None
        self.gone = False
        self.reads = 0

    def __call__(self) -> Snapshot:
        self.reads += 1
        if self.gone:
            raise NotFoundError("It was removed.")
        return Snapshot(self.version, self.state)


@asynccontextmanager
async def running_hub(url: str, streams_max: int = MANY) -> AsyncIterator[Hub]:
    stopping = asyncio.Event()
    async with AsyncRedis.from_url(url) as redis:
        hub = Hub(redis, stopping.is_set, streams_max)
        task = asyncio.create_task(hub.run())
        try:
            yield hub
        finally:
            stopping.set()
            await task


async def until(ask: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not ask():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


async def collect(events: AsyncIterator[bytes], into: list[bytes]) -> None:
    async for each in events:
        into.append(each)  # noqa: PERF401 - the test looks while they come


def test_many_streams_take_two_connections_to_redis_and_share_each_read_of_the_rows(redis_url: str) -> None:
    rows = Rows()
    got: list[list[bytes]] = [[] for _ in range(MANY)]

    async def test() -> None:
        with Redis.from_url(redis_url) as redis:
            before = redis.info("clients")["connected_clients"]
            async with running_hub(redis_url) as hub:
                follow = [collect(change_events(hub, "front", CHANGES_CHANNEL, rows, "0"), each) for each in got]
                tasks = [asyncio.create_task(each) for each in follow]
                await until(lambda: all(len(each) == 1 for each in got))
                assert redis.info("clients")["connected_clients"] - before <= 2
                assert rows.reads <= 4
                rows.version = "2"
                LiveTail(redis).changed(7)
                await until(lambda: all(len(each) == 2 for each in got))
                assert rows.reads <= 6
                rows.state = State.PASSED
                LiveTail(redis).changed(7)
                await asyncio.gather(*tasks)
            assert all(each[-1].startswith(b"event: end") for each in got)

    run(test)


def test_streams_end_without_an_error_when_their_row_is_removed(redis_url: str) -> None:
    rows, got = Rows(), list[bytes]()

    async def test() -> None:
        async with running_hub(redis_url) as hub:
            rows.gone = True
            await asyncio.wait_for(collect(change_events(hub, "run", "channel", rows, "1"), got), 5)
            rows.gone = False
            # A stream that is opened later reads again.
            later = asyncio.create_task(collect(change_events(hub, "run", "channel", rows, "0"), got))
            await until(lambda: len(got) == 1)
            later.cancel()

    run(test)


def test_a_page_that_is_newer_than_the_last_shared_read_gets_no_event(redis_url: str) -> None:
    """The row changed, the page was loaded, and no notice came yet: the stream waits for a read that begins now."""
    rows, first, second = Rows(), list[bytes](), list[bytes]()

    async def test() -> None:
        async with running_hub(redis_url) as hub:
            opened = asyncio.create_task(collect(change_events(hub, "run", "channel", rows, "0"), first))
            await until(lambda: len(first) == 1)
            reads = rows.reads
            rows.version = "2"
            newer = asyncio.create_task(collect(change_events(hub, "run", "channel", rows, "2"), second))
            await until(lambda: rows.reads > reads and len(first) == 2)
            assert second == []
            opened.cancel()
            newer.cancel()

    run(test)


def test_a_stream_that_asks_while_the_rows_are_read_gets_the_next_read_though_nothing_changed(redis_url: str) -> None:
    reading, go_on = threading.Event(), threading.Event()

    class SlowRows(Rows):
        def __call__(self) -> Snapshot:
            reading.set()
            go_on.wait(10)
            return super().__call__()

    rows, first, second = SlowRows(), list[bytes](), list[bytes]()

    async def test() -> None:
        async with running_hub(redis_url) as hub:
            tasks = [asyncio.create_task(collect(change_events(hub, "run", "channel", rows, "0"), first))]
            await until(reading.is_set)
            tasks.append(asyncio.create_task(collect(change_events(hub, "run", "channel", rows, "0"), second)))
            await asyncio.sleep(0.05)
            go_on.set()
            await until(lambda: len(first) == 1)
            await until(lambda: len(second) == 1, 3)
            for task in tasks:
                task.cancel()

    run(test)


def test_rows_are_polled_seldom_when_many_pages_are_followed(redis_url: str) -> None:
    async def test() -> None:
        async with running_hub(redis_url, 1_000) as hub:
            await until(lambda: hub.poll_s == 2.0)
            for number in range(1_000):
                hub.snapshot(number, f"channel {number}", Rows())
            assert hub.poll_s == 1_000 / hub_module.POLLS_PER_S_MAX
            for number in range(1_000):
                hub.drop_snapshot(number, hub.snapshot(number, f"channel {number}", Rows()))

    run(test)


async def followed(stream: Stream, tail: SharedTail, position: int) -> bytes:
    """The next bytes of a tail."""
    async with asyncio.timeout(10):
        while not (data := tail.read(position)):
            await stream.wait(10)
    return data


def test_the_tail_of_a_step_is_read_once_for_all_its_streams(redis_url: str) -> None:
    async def test() -> None:
        with Redis.from_url(redis_url) as redis:
            live = LiveTail(redis)
            live.publish(1, 1, 0, b"before ")
            async with running_hub(redis_url) as hub:
                with hub.stream() as one, hub.stream() as other, one.tail(1, 1) as tail, other.tail(1, 1) as same:
                    assert same is tail
                    assert await followed(one, tail, 0) == b"before "
                    live.publish(1, 1, 7, b"after")
                    assert await followed(one, tail, 7) == b"after"
                    assert await followed(other, tail, 3) == b"ore after"
                    live.end(1, 1)
                    await until(lambda: tail.ended)
                    channel = step_key(1, 1)
                    assert redis.pubsub_numsub(channel)[0][1] == 1
                await until(lambda: redis.pubsub_numsub(channel)[0][1] == 0)

    run(test)


def test_more_output_than_one_answer_of_redis_holds_is_read_to_its_end(redis_url: str) -> None:
    async def test() -> None:
        with Redis.from_url(redis_url) as redis:
            live = LiveTail(redis)
            async with running_hub(redis_url) as hub:
                with hub.stream() as stream, stream.tail(2, 1) as tail:
                    await until(lambda: tail.last_id is not None)
                    pipe_of_entries = 100
                    for number in range(pipe_of_entries):
                        live.publish(2, 1, number * 10, b"%09d\n" % number)
                    await until(lambda: tail.end == pipe_of_entries * 10)
                    assert await followed(stream, tail, 0) == b"".join(b"%09d\n" % n for n in range(pipe_of_entries))

    run(test)


def test_a_tail_keeps_the_newest_bytes_and_begins_again_after_a_gap() -> None:
    tail = SharedTail(1, 1)
    tail.add([(b"1-0", {b"o": b"0", b"d": b"0123456789"})], bytes_max=10)
    assert (tail.start, tail.end) == (0, 10)
    tail.add([(b"2-0", {b"o": b"10", b"d": b"a"})], bytes_max=10)
    assert (tail.start, tail.end, tail.read(0), tail.read(1)) == (1, 11, b"", b"123456789a")
    tail.add([(b"3-0", {b"o": b"8", b"d": b"89ab"})], bytes_max=10)
    assert tail.read(9) == b"9ab"
    tail.add([(b"4-0", {b"o": b"100", b"d": b"gap"})], bytes_max=10)
    assert (tail.start, tail.end, tail.read(11), tail.read(100), tail.read(103)) == (100, 103, b"", b"gap", b"")


@pytest.mark.stress
def test_notices_come_again_after_redis_was_away(redis_server: RedisServer) -> None:
    rows, got = Rows(), list[bytes]()

    async def test() -> None:
        async with running_hub(redis_server.url) as hub:
            task = asyncio.create_task(collect(change_events(hub, "front", CHANGES_CHANNEL, rows, "0"), got))
            await until(lambda: len(got) == 1)
            redis_server.stop(signal.SIGKILL)
            rows.version = "2"
            # Without Redis the rows are polled.
            await until(lambda: len(got) == 2)
            await asyncio.to_thread(redis_server.start)
            with redis_server.client() as redis:
                await until(lambda: redis.pubsub_numsub(CHANGES_CHANNEL)[0][1] == 1)
                reads = rows.reads
                LiveTail(redis).changed(7)
                await until(lambda: rows.reads > reads, 1.0)
            task.cancel()

    run(test)


def test_one_stream_more_than_the_limit_is_answered_503(site: Site, program: TestClient) -> None:
    async def test() -> None:
        async with AsyncRedis.from_url(site.services.settings.redis_url) as redis:
            hub = Hub(redis, lambda: False, streams_max=2)
            with hub.stream():
                assert hub.has_room(1)
                with hub.stream():
                    assert not hub.has_room(1)
                    cast("FastAPI", program.app).state.streams = hub
                    answer = program.get("/api/stream")
            assert (answer.status_code, answer.json()) == (503, {"error": TOO_MANY_STREAMS})
            assert int(answer.headers["retry-after"]) > 0

    run(test)


def test_a_user_has_only_a_part_of_the_streams(site: Site, program: TestClient) -> None:
    user_id = 1  # the only one

    async def test() -> None:
        async with AsyncRedis.from_url(site.services.settings.redis_url) as redis:
            hub = Hub(redis, lambda: False, of_user_max=2)
            held = [hub.counted(user_id, 1, ended("gone")) for _ in range(2)]
            assert await anext(held[0])
            assert hub.has_room(1, user_id)
            assert await anext(held[1])
            assert not hub.has_room(1, user_id)
            assert hub.has_room(2, user_id + 1)
            cast("FastAPI", program.app).state.streams = hub
            answer = program.get("/api/events?follow=front")
            assert (answer.status_code, answer.json()) == (503, {"error": TOO_MANY_STREAMS})
            await held[0].aclose()
            assert hub.has_room(1, user_id)
            assert not hub.has_room(2, user_id)
            await held[1].aclose()

    run(test)
