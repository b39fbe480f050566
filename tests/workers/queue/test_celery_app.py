"""Ringing, against a real Redis: messages are hints, and a broker that is away never stops anybody."""

import base64
import json
import signal
from collections.abc import Iterator

import pytest
from celery import Celery
from redis import Redis
from structlog.testing import capture_logs

from tests.support.services import RedisServer, eventually
from workers.queue.celery_app import MESSAGE_EXPIRES_S, QUEUE, TASK, Bell, Ringer, make_celery, queue_length
from workers.settings import Settings
from workers.streaming import redis_stream


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    client = redis_stream.connect(redis_url)
    yield client
    client.close()


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def bell(redis_url: str, clock: Clock | None = None) -> Bell:
    return Bell(make_celery(Settings(redis_url=redis_url)), clock or Clock())


def test_a_ring_is_one_message_with_the_jobs_id_and_nothing_else(redis: Redis, redis_url: str) -> None:
    assert bell(redis_url).ring(42)
    assert queue_length(redis) == 1
    message = json.loads(redis.lrange(f"headway:{QUEUE}", 0, -1)[0])
    assert message["headers"]["task"] == TASK
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[42], {}]
    assert message["headers"]["expires"] is not None
    assert MESSAGE_EXPIRES_S == 60


def test_all_keys_of_the_queue_have_our_prefix(redis: Redis, redis_url: str) -> None:
    bell(redis_url).ring(42)
    assert all(key.startswith(b"headway:") for key in redis.keys("*"))


def test_many_rings_use_one_connection(redis: Redis, redis_url: str) -> None:
    before = int(redis.info("stats")["total_connections_received"])
    mine = bell(redis_url)
    for number in range(50):
        assert mine.ring(number)
    after = int(redis.info("stats")["total_connections_received"])
    assert after - before <= 2
    assert queue_length(redis) == 50


def test_a_broker_that_is_away_answers_false_and_is_tried_again_a_second_later(redis_server: RedisServer) -> None:
    clock = Clock()
    mine = bell(redis_server.url, clock)
    assert mine.ring(1)
    redis_server.stop()
    assert not mine.ring(2)
    redis_server.start()
    assert not mine.ring(3)
    clock.now_s += 2
    assert mine.ring(4)
    with redis_server.client() as client:
        assert queue_length(client) == 2


def test_a_broker_that_was_never_there_is_no_error(redis_server: RedisServer) -> None:
    redis_server.stop()
    clock = Clock()
    mine = bell(redis_server.url, clock)
    for _ in range(3):
        assert not mine.ring(1)
        clock.now_s += 2


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_a_frozen_broker_is_given_up_soon(redis_server: RedisServer) -> None:
    clock = Clock()
    mine = bell(redis_server.url, clock)
    assert mine.ring(1)
    redis_server.send(signal.SIGSTOP)
    assert not mine.ring(2)
    clock.now_s += 2
    assert not mine.ring(3)
    redis_server.send(signal.SIGCONT)

    def again() -> bool:
        clock.now_s += 2
        return mine.ring(4)

    eventually(again)


def test_many_rings_at_once_are_one_message_each_that_celery_can_tell_apart(redis: Redis, redis_url: str) -> None:
    assert bell(redis_url).ring_all([3, 1, 2])
    messages = [json.loads(message) for message in reversed(redis.lrange(f"headway:{QUEUE}", 0, -1))]
    assert [json.loads(base64.b64decode(message["body"]))[0] for message in messages] == [[3], [1], [2]]
    assert len({message["headers"]["id"] for message in messages}) == 3
    assert all(message["properties"]["correlation_id"] == message["headers"]["id"] for message in messages)


def test_a_message_says_what_celery_itself_would_say(redis: Redis, redis_url: str) -> None:
    bell(redis_url).ring(42)
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


def test_what_was_rung_in_the_background_is_sent_before_it_ends(redis: Redis, redis_url: str) -> None:
    with Ringer(bell(redis_url)) as ringer:
        for number in range(250):
            ringer.ring(number)
    sent = [json.loads(message) for message in reversed(redis.lrange(f"headway:{QUEUE}", 0, -1))]
    assert [json.loads(base64.b64decode(message["body"]))[0] for message in sent] == [[n] for n in range(250)]


def test_a_bell_that_was_never_rung_complains_of_nothing_at_its_end(redis_url: str) -> None:
    with capture_logs() as logs, Ringer(bell(redis_url)):
        pass
    assert logs == []


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_ringing_in_the_background_waits_for_no_frozen_broker_and_forgets_what_is_too_much(
    redis_server: RedisServer,
) -> None:
    mine = bell(redis_server.url)
    assert mine.ring(0)
    redis_server.send(signal.SIGSTOP)
    with Ringer(mine, waiting_max=5) as ringer:
        for number in range(100_000):
            ringer.ring(number)
        redis_server.send(signal.SIGCONT)
    with redis_server.client() as client:
        assert queue_length(client) < 1_000


def test_celery_treats_messages_as_hints() -> None:
    conf = make_celery(Settings(worker_slots=3, job_timeout_s=100)).conf
    expected = {
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": 3,
        "worker_pool": "prefork",
        "task_time_limit": 1000,
        "task_soft_time_limit": None,
        "worker_enable_remote_control": False,
        "accept_content": ["json"],
        "broker_connection_max_retries": None,
        "result_backend": None,
        "task_default_queue": "headway",
    }
    assert {name: conf[name] for name in expected} == expected
    assert conf.broker_transport_options["global_keyprefix"] == "headway:"
    assert conf.broker_transport_options["socket_timeout"] == 30
