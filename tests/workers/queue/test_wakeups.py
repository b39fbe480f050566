"""Wake-ups, sent to a real Redis: a broker that does not answer holds up no caller."""

import base64
import json
import signal
from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis
from structlog.testing import capture_logs

from tests.support.services import RedisServer, eventually
from workers.queue.celery_app import MESSAGE_EXPIRES_S, QUEUE, TASK, make_celery
from workers.queue.wakeups import BackgroundNotifier, Notifier, queue_length
from workers.settings import Settings
from workers.streaming import redis_stream


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = redis_stream.connect(redis_url)
    yield client
    client.close()


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def notifier(redis_url: str, clock: Clock | None = None) -> Notifier:
    return Notifier(make_celery(Settings(redis_url=redis_url)), clock or Clock())


def test_a_wake_up_is_one_message_with_the_jobs_id_and_nothing_else(redis: Redis, redis_url: str) -> None:
    assert notifier(redis_url).notify(42)
    assert queue_length(redis) == 1
    message = json.loads(redis.lrange(f"headway:{QUEUE}", 0, -1)[0])
    assert message["headers"]["task"] == TASK
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[42], {}]
    assert message["headers"]["expires"] is not None
    assert MESSAGE_EXPIRES_S == 60


def test_all_keys_of_the_queue_have_our_prefix(redis: Redis, redis_url: str) -> None:
    notifier(redis_url).notify(42)
    assert redis.dbsize() == len(list(redis.scan_iter("headway:*"))) > 0


def test_many_wake_ups_use_one_connection(redis: Redis, redis_url: str) -> None:
    before = int(redis.info("stats")["total_connections_received"])
    mine = notifier(redis_url)
    for number in range(50):
        assert mine.notify(number)
    after = int(redis.info("stats")["total_connections_received"])
    assert after - before <= 2
    assert queue_length(redis) == 50


def test_after_a_failure_the_notifier_backs_off_for_a_second(redis_server: RedisServer) -> None:
    clock = Clock()
    mine = notifier(redis_server.url, clock)
    assert mine.notify(1)
    redis_server.stop()
    assert not mine.notify(2)
    redis_server.start()
    assert not mine.notify(3)
    clock.now_s += 2
    assert mine.notify(4)
    with redis_server.client() as client:
        assert queue_length(client) == 2


def test_a_broker_that_was_never_there_is_no_error(redis_server: RedisServer) -> None:
    redis_server.stop()
    clock = Clock()
    mine = notifier(redis_server.url, clock)
    for _ in range(3):
        assert not mine.notify(1)
        clock.now_s += 2


@pytest.mark.stress
def test_a_frozen_broker_is_given_up_soon(redis_server: RedisServer) -> None:
    clock = Clock()
    mine = notifier(redis_server.url, clock)
    assert mine.notify(1)
    redis_server.send(signal.SIGSTOP)
    assert not mine.notify(2)
    clock.now_s += 2
    assert not mine.notify(3)
    redis_server.send(signal.SIGCONT)

    def again() -> bool:
        clock.now_s += 2
        return mine.notify(4)

    eventually(again)


def test_many_wake_ups_at_once_are_one_message_each_that_celery_can_tell_apart(redis: Redis, redis_url: str) -> None:
    assert notifier(redis_url).notify_all([3, 1, 2])
    messages = [json.loads(message) for message in reversed(redis.lrange(f"headway:{QUEUE}", 0, -1))]
    assert [json.loads(base64.b64decode(message["body"]))[0] for message in messages] == [[3], [1], [2]]
    assert len({message["headers"]["id"] for message in messages}) == 3
    assert all(message["properties"]["correlation_id"] == message["headers"]["id"] for message in messages)


def test_a_message_says_what_celery_itself_would_say(redis: Redis, redis_url: str) -> None:
    notifier(redis_url).notify(42)
    with Celery("plain", broker=redis_url, set_as_current=False) as plain:
        plain.conf.broker_transport_options = {"global_keyprefix": "headway:"}
        plain.send_task(TASK, args=[42], queue=QUEUE, expires=MESSAGE_EXPIRES_S, ignore_result=True)
    theirs, ours = [json.loads(message) for message in redis.lrange(f"headway:{QUEUE}", 0, -1)]
    assert ours["body"] == theirs["body"]
    assert ours["headers"].keys() == theirs["headers"].keys()
    own = {"id", "root_id", "expires", "origin"}
    assert {k: v for k, v in ours["headers"].items() if k not in own} == {
        k: v for k, v in theirs["headers"].items() if k not in own
    }
    for name in ("delivery_mode", "delivery_info", "expiration", "priority", "body_encoding"):
        assert ours["properties"][name] == theirs["properties"][name]


def test_what_waits_in_the_background_is_sent_before_it_stops(redis: Redis, redis_url: str) -> None:
    with BackgroundNotifier(notifier(redis_url)) as background:
        for number in range(250):
            background.notify(number)
    sent = [json.loads(message) for message in reversed(redis.lrange(f"headway:{QUEUE}", 0, -1))]
    assert [json.loads(base64.b64decode(message["body"]))[0] for message in sent] == [[n] for n in range(250)]


def test_a_notifier_without_a_wake_up_logs_nothing_when_it_stops(redis_url: str) -> None:
    with capture_logs() as logs, BackgroundNotifier(notifier(redis_url)):
        pass
    assert logs == []


@pytest.mark.stress
def test_in_the_background_a_frozen_broker_delays_no_caller_and_too_many_wake_ups_are_dropped(
    redis_server: RedisServer,
) -> None:
    mine = notifier(redis_server.url)
    assert mine.notify(0)
    redis_server.send(signal.SIGSTOP)
    with BackgroundNotifier(mine, waiting_max=5) as background:
        for number in range(100_000):
            background.notify(number)
        redis_server.send(signal.SIGCONT)
    with redis_server.client() as client:
        assert queue_length(client) < 1_000
