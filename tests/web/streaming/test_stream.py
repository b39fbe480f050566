"""Server-sent events over a real socket, with a real Redis and log store, while a step writes its log."""

import asyncio
import base64
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import delete

from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.support.services import RedisServer, eventually
from tests.web.conftest import ClaimedRun, Site, push, serving
from tests.web.streaming.listener import Listener, Received
from web.streaming.hub import Hub
from web.streaming.snapshots import StepSnapshot
from web.streaming.step_log import StepLogStream
from workers import store
from workers.db.models import ApiToken
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.streaming.redis_stream import LiveTail, connect, run_channel

CHUNK = 5_000


@pytest.fixture
def listener(site: Site, live_url: str) -> Iterator[Listener]:
    site.add_repo()
    listener = Listener(live_url, site.token(site.add_user()))
    yield listener
    listener.client.close()


def text(count: int) -> bytes:
    return b"".join(b"%06d the quick brown fox \x1b[32mjumps\x1b[0m \xff\xfe\n" % number for number in range(count))


def write_slowly(begun: ClaimedRun, data: bytes, number: int = 2, pause_s: float = 0.002) -> threading.Thread:
    def write() -> None:
        with begun.recorder() as record:
            record(StepStarted(number))
            for offset in range(0, len(data), CHUNK):
                record(StepOutput(number, offset, data[offset : offset + CHUNK], Stream.STDOUT))
                time.sleep(pause_s)
            record(StepFinished(number, PASSED))

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def stream_of(begun: ClaimedRun, number: int = 2) -> str:
    return f"/api/steps/{begun.steps[number]}/stream"


@pytest.mark.slow
def test_a_finished_log_is_sent_whole_and_ends(site: Site, listener: Listener) -> None:
    begun = site.begin()
    data = text(20_000)
    write_slowly(begun, data, pause_s=0).join()
    received = listener.receive(stream_of(begun))
    assert received.log == data
    assert received.end == "passed"


@pytest.mark.stress
def test_no_byte_is_lost_or_doubled_where_the_stored_log_meets_the_live_tail(site: Site, listener: Listener) -> None:
    begun = site.begin()
    data = text(30_000)
    writer = write_slowly(begun, data)
    received = [Received() for _ in range(6)]

    def listen(index: int) -> None:
        # Each starts at another moment, so that stored log and live tail meet at another byte.
        eventually(lambda: site.services.redis.xlen(f"headway:step:{begun.steps[2]}:1") > 3 * index, 30)
        received[index] = listener.receive(stream_of(begun))

    threads = [threading.Thread(target=listen, args=(index,)) for index in range(len(received))]
    for thread in [*threads]:
        thread.start()
    for thread in [*threads, writer]:
        thread.join(60)
    assert [each.end for each in received] == ["passed"] * len(received)
    assert all(each.log == data for each in received)


@pytest.mark.slow
def test_a_reader_that_reconnects_resumes_where_it_was(site: Site, listener: Listener) -> None:
    begun = site.begin()
    data = text(10_000)
    writer = write_slowly(begun, data)
    received = Received()
    for event in listener.events(stream_of(begun)):
        received.add(event)
        if received.position > len(data) // 3:
            break
    cut = received.position
    rest = listener.receive(stream_of(begun), cut, headers={"last-event-id": str(cut)}, offset=0)
    writer.join()
    assert received.log + rest.log == data


@pytest.mark.slow
def test_a_reader_of_one_stream_gets_its_bytes_alone_and_places_in_the_whole_log(
    site: Site, listener: Listener
) -> None:
    begun = site.begin()
    parts = [(b"%06d\n" % number * 30, Stream.STDERR if number % 3 == 1 else Stream.STDOUT) for number in range(2000)]
    with begun.recorder() as record:
        record(StepStarted(2))
        for number, (data, stream) in enumerate(parts):
            record(StepOutput(2, 210 * number, data, stream))
        record(StepFinished(2, PASSED))
    for start in (0, 1_000):
        events = list(listener.events(stream_of(begun), offset=start, stream="stderr"))
        got = b"".join(base64.b64decode(event.data) for event in events if event.kind == "log")
        wanted = [data[max(0, start - 210 * n) :] for n, (data, of) in enumerate(parts) if of is Stream.STDERR]
        assert got == b"".join(wanted)
        assert (events[-1].kind, events[-1].id) == ("end", str(210 * len(parts)))


@pytest.mark.slow
def test_a_reader_may_begin_at_any_byte(site: Site, listener: Listener) -> None:
    begun = site.begin()
    data = text(100)
    write_slowly(begun, data).join()
    assert listener.receive(stream_of(begun), 777, offset=777).log == data[777:]
    assert listener.receive(stream_of(begun), len(data), offset=len(data)).log == b""


@pytest.mark.slow
def test_output_arrives_while_the_step_still_runs(site: Site, listener: Listener) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"first\n", Stream.STDOUT))
        received = Received()
        for event in listener.events(stream_of(begun)):
            received.add(event)
            if received.log == b"first\n":
                break
        assert begun.step(2).state is State.RUNNING
        record(StepOutput(2, 6, b"second\n", Stream.STDOUT))
        more = next(event for event in listener.events(stream_of(begun), offset=6) if event.kind == "log")
        assert base64.b64decode(more.data) == b"second\n"


def test_a_stream_opened_before_the_step_starts_gets_all_of_it(site: Site, listener: Listener) -> None:
    begun = site.begin()
    received: list[Received] = []
    thread = threading.Thread(target=lambda: received.append(listener.receive(stream_of(begun))))
    thread.start()
    data = text(500)
    write_slowly(begun, data).join()
    thread.join(30)
    assert received[0].log == data
    assert "changed" in received[0].kinds


def test_live_chunks_that_were_lost_are_read_from_the_store(site: Site, listener: Listener, live: LiveTail) -> None:
    begun = site.begin()
    data = text(3_000)
    step_id = begun.steps[2]
    address = (begun.queued.run_id, begun.queued.job_id, 2, 1)
    writer = site.services.logs.writer(*address)
    with transaction(site.engine) as session:
        store.start_step(session, begun.queued.job_id, 1, 2)
    received: list[Received] = []
    thread = threading.Thread(target=lambda: received.append(listener.receive(stream_of(begun))))
    thread.start()
    for index, offset in enumerate(range(0, len(data), CHUNK)):
        piece = data[offset : offset + CHUNK]
        writer.append(piece, Stream.STDOUT, 1)
        if index % 3 == 0:
            live.publish(
                step_id, 1, offset, piece
            )  # two of three never reach Redis, and the third gets there before the store
        writer.flush()
    writer.close()
    live.end(step_id, 1)
    with transaction(site.engine) as session:
        store.finish_step(session, begun.queued.job_id, 1, 2, PASSED, (len(data), 3_000))
    thread.join(30)
    assert received[0].log == data


@pytest.mark.stress
def test_the_log_continues_while_redis_is_down(site: Site, redis_server: RedisServer) -> None:
    site.add_repo()
    begun = site.begin()
    data = text(4_000)
    parts = site.services
    settings = parts.settings.model_copy(update={"redis_url": redis_server.url})
    redis = connect(redis_server.url)
    with_failing_redis = replace(parts, settings=settings, redis=redis)
    with serving(with_failing_redis) as url:
        listener = Listener(url, site.token(site.add_user()))
        received = Received()
        thread = write_slowly(
            ClaimedRun(Site(with_failing_redis), begun.queued, begun.claim, begun.steps), data, pause_s=0.02
        )
        for event in listener.events(stream_of(begun)):
            received.add(event)
            if event.kind == "log":
                redis_server.stop(signal.SIGKILL)  # the first time; later it does nothing
            if event.kind == "end":
                break
        thread.join()
        listener.client.close()
    redis.close()
    assert received.log == data
    assert received.end == "passed"


@pytest.mark.stress
def test_a_step_that_starts_again_sends_restart(site: Site, listener: Listener) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"first attempt\n", Stream.STDOUT))
        events = listener.events(stream_of(begun))
        kinds = [next(events).kind]
        with transaction(site.engine) as session:
            leases.release(session, begun.queued.job_id, begun.claim.attempt)
        site.claim(begun.queued)
        for event in events:
            kinds.append(event.kind)
            if event.kind == "restart":
                break
    assert kinds[-1] == "restart"


@pytest.mark.slow
def test_the_end_event_has_the_state_of_the_step(site: Site, listener: Listener) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepFinished(2, Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)))
    received = listener.receive(stream_of(begun))
    assert (received.end, received.log) == ("failed", b"")


def test_a_runs_stream_sends_changes_and_ends_with_the_run(site: Site, listener: Listener, live: LiveTail) -> None:
    begun = site.begin()
    received: list[Received] = []
    thread = threading.Thread(
        target=lambda: received.append(listener.receive(f"/api/runs/{begun.queued.run_id}/stream"))
    )
    thread.start()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
    with transaction(site.engine) as session:
        store.finish_job(session, begun.queued.job_id, 1, PASSED)
    live.changed(begun.queued.run_id)
    thread.join(30)
    assert received[0].end == "passed"
    assert received[0].kinds.count("changed") >= 1


def test_a_page_that_is_up_to_date_gets_no_event_until_something_changes(site: Site, listener: Listener) -> None:
    queued = site.queue()
    path = f"/api/runs/{queued.run_id}/stream"
    version = next(listener.events(path)).data
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(next(listener.events(path, seen=version)).data))
    thread.start()
    site.claim(queued)
    thread.join(30)
    assert seen[0] != version


def test_the_front_page_gets_an_event_for_a_new_run(site: Site, listener: Listener, live: LiveTail) -> None:
    version = next(listener.events("/api/stream")).data
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(next(listener.events("/api/stream", seen=version)).kind))
    thread.start()
    live.changed(site.queue(push("new")).run_id)
    thread.join(30)
    assert seen == ["changed"]


@pytest.mark.stress
def test_streams_end_when_the_server_stops(site: Site, listener: Listener) -> None:
    begun = site.begin()
    ended = threading.Event()

    def listen() -> None:
        for _ in listener.events(stream_of(begun)):
            pass
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    channel = run_channel(begun.queued.run_id)
    eventually(lambda: site.services.redis.pubsub_numsub(channel)[0][1] == 1)
    site.services.stopping.set()
    assert ended.wait(10)
    thread.join()


@pytest.mark.slow
def test_no_database_connection_is_held_while_a_stream_is_open(site: Site, listener: Listener) -> None:
    begun = site.begin()
    events = listener.events(stream_of(begun), seen="")
    next(events)
    eventually(lambda: site.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    with reading(site.engine) as session:
        assert store.step_by_id(session, begun.steps[2]) is not None


@pytest.mark.slow
def test_a_stream_whose_reader_may_see_the_step_no_more_ends_before_the_next_heartbeat(
    site: Site, listener: Listener
) -> None:
    begun = site.begin()
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"before\n", Stream.STDOUT))
        events = listener.events(stream_of(begun))
        while next(events).kind != "log":
            pass
        with transaction(site.engine) as session:
            session.execute(delete(ApiToken))
        started_s = time.monotonic()
        site.services.live.changed(begun.queued.run_id)
        kinds = [event.kind for event in events]
    assert kinds[-1] == "restart"
    assert time.monotonic() - started_s < 8


def test_a_stream_ends_when_the_rows_cannot_be_read_also_if_it_came_during_the_read(site: Site) -> None:
    site.add_repo()
    claimed = site.begin()
    step_id, run_id = claimed.steps[2], claimed.queued.run_id
    begun = StepSnapshot("1", State.RUNNING, run_id=run_id, step_id=step_id, address=(1, 1, 2, 1))
    reading_rows, go_on = threading.Event(), threading.Event()

    def take() -> StepSnapshot:
        reading_rows.set()
        go_on.wait(10)
        raise OSError("the disk is gone")

    async def test() -> list[list[bytes]]:
        async with AsyncRedis.from_url(site.services.settings.redis_url) as redis:
            stopping = threading.Event()
            hub = Hub(redis, stopping.is_set)
            running = asyncio.create_task(hub.run())

            async def follow() -> list[bytes]:
                stream = StepLogStream(site.services, hub, "step", take, begun, 0, begun.version)
                return [each async for each in stream.events()]

            first = asyncio.create_task(follow())
            await asyncio.to_thread(reading_rows.wait, 10)
            second = asyncio.create_task(follow())
            await asyncio.sleep(0.1)
            go_on.set()
            try:
                return list(await asyncio.wait_for(asyncio.gather(first, second), 8))
            finally:
                stopping.set()
                await running

    assert asyncio.run(test()) == [[], []]
