"""The Celery application, and ringing: a message is a wake-up with a job's id. The database is the truth."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Self
from uuid import uuid4

import structlog
from celery import Celery
from redis import Redis, RedisError

from workers.settings import Settings
from workers.streaming.redis_stream import connect

TASK = "headway.work"
QUEUE = "headway"
MESSAGE_EXPIRES_S = 60
"""A message that nobody took for so long evaporates; the scheduler rings again for jobs that still wait."""

_PREFIX = "headway:"
_SILENCE_S = 1.0
_RING_TIMEOUT_S = 0.8
_TURN_MAX = 100  # messages in one round trip
_BACKSTOP_S = 900  # after the job's own watchdog should have ended it

_log = structlog.get_logger()


def make_celery(settings: Settings) -> Celery:
    """The application with every setting that design C needs; no task is registered in it."""
    app = Celery("headway", broker=settings.redis_url)
    app.conf.update(
        # Messages are hints: no results, no redelivery, no prefetching, no remote control.
        task_ignore_result=True,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        # The pool. There is no soft time limit: it would raise anywhere.
        worker_pool="prefork",
        worker_concurrency=settings.worker_slots,
        worker_max_tasks_per_child=100,
        worker_max_memory_per_child=500_000,  # KiB
        worker_proc_alive_timeout=30,
        task_time_limit=settings.job_timeout_s + _BACKSTOP_S,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        # Redis.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "visibility_timeout": 300,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "global_keyprefix": _PREFIX,
        },
        visibility_timeout=300,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    )
    return app


class Bell:
    """Wakes a worker for a job. To be rung after the commit, for the worker must find the row.

    A broker that is away is not an error: the row waits, and the scheduler rings again. After a failure the bell stays
    silent for a second, so that a dead broker does not hold up one webhook after the other. Serves all threads.
    """

    def __init__(self, celery: Celery, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._celery = celery
        # Celery waits for its broker with patience; whoever rings has a forge on the line.
        self._redis = connect(celery.conf.broker_url, _RING_TIMEOUT_S)
        self._monotonic_s = monotonic_s
        self._silent_until_s = 0.0

    def ring(self, job_id: int) -> bool:
        """True when a message is on its way."""
        return self.ring_all([job_id])

    def ring_all(self, job_ids: Sequence[int]) -> bool:
        """One message for each job, in one command; True when all are on their way."""
        if not job_ids:
            return True
        if self._monotonic_s() < self._silent_until_s:
            return False
        try:
            self._redis.lpush(_PREFIX + QUEUE, *self._messages(job_ids))
        except RedisError as error:
            self._silent_until_s = self._monotonic_s() + _SILENCE_S
            _log.warning("nobody was woken; the scheduler will ring again", jobs=job_ids, error=str(error))
            return False
        return True

    def pass_on(self, job_id: int, queues: Mapping[str, int]) -> None:
        """Wakes one worker of each of these queues, but where as many messages as it has slots wait there already.

        Each of those makes a worker look for what has waited longest, once it is free.
        """
        (message,) = self._messages([job_id])
        try:
            for queue, slots in queues.items():
                if int(self._redis.llen(_PREFIX + queue)) < slots:
                    self._redis.lpush(_PREFIX + queue, message)
        except RedisError as error:
            _log.warning("nobody was woken; the scheduler will ring again", jobs=[job_id], error=str(error))

    def _messages(self, job_ids: Sequence[int]) -> Iterator[str]:
        """What Celery's ``send_task`` would put into Redis, at a twentieth of the cost; a test compares the two."""
        task = self._celery.amqp.as_task_v2("", TASK, expires=MESSAGE_EXPIRES_S, ignore_result=True)
        more = json.dumps(task.body[1:]).removeprefix("[")
        # Made once, and filled in for each job.
        form = json.dumps(
            {
                "body": "@body@",
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": {**task.headers, "id": "@id@", "root_id": "@id@", "argsrepr": "[@job@]"},
                "properties": {
                    "correlation_id": "@id@",
                    "reply_to": "",
                    "delivery_mode": 2,
                    "expiration": str(MESSAGE_EXPIRES_S * 1000),
                    "delivery_info": {"exchange": "", "routing_key": QUEUE},
                    "priority": 0,
                    "body_encoding": "base64",
                    "delivery_tag": "@id@",
                },
            }
        )
        for job_id in job_ids:
            body = base64.b64encode(f"[[{job_id}], {more}".encode()).decode()
            yield form.replace("@body@", body).replace("@job@", str(job_id)).replace("@id@", str(uuid4()))


class Ringer:
    """Rings a bell in a thread of its own, for those who have somebody on the line. To be entered and left.

    What is rung while it rings goes out together in its next turn. What finds the line full is not rung: its rows
    wait, and the scheduler rings.
    """

    def __init__(self, bell: Bell, *, waiting_max: int = 10_000) -> None:
        self._bell = bell
        self._waiting_max = waiting_max
        self._waiting: SimpleQueue[Sequence[int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="bell", daemon=True)

    def ring(self, *job_ids: int) -> None:
        """Returns at once, whatever the broker does."""
        if self._waiting.qsize() < self._waiting_max:
            self._waiting.put(job_ids)
        else:
            _log.warning("too many wait for a wake-up; the scheduler will ring", jobs=job_ids)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What was rung before is sent first."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            found = [self._waiting.get()]
            while len(found) < _TURN_MAX and not self._waiting.empty():
                found.append(self._waiting.get())
            last = found[-1] is None
            if job_ids := [job_id for each in found if each for job_id in each]:
                self._bell.ring_all(job_ids)


def queue_length(redis: Redis) -> int:
    """How many wake-ups no worker has taken yet. Raises RedisError."""
    return int(redis.llen(_PREFIX + QUEUE))
