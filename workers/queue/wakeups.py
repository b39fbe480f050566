"""Wake-ups: messages through Redis that make a worker look at a job. A lost one is sent again by the scheduler."""

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

from workers.queue.celery_app import KEY_PREFIX, MESSAGE_EXPIRES_S, QUEUE, TASK
from workers.streaming.redis_stream import connect

_BACK_OFF_S = 1.0
_SEND_TIMEOUT_S = 0.8
_BATCH_MAX = 100  # calls of notify() whose jobs go to Redis in one round trip

_log = structlog.get_logger()


class Notifier:
    """Wakes a worker for a job. Call it after the commit: the worker must find the row. May be used from any thread.

    A broker that does not answer is no error: the job waits in its row, and the scheduler notifies again. After a
    failure the notifier backs off for a second, so that a dead broker does not delay each webhook in turn.
    """

    def __init__(self, celery: Celery, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._celery = celery
        # Celery would wait long for its broker, and the caller has a forge waiting for an answer.
        self._redis = connect(celery.conf.broker_url, _SEND_TIMEOUT_S)
        self._monotonic_s = monotonic_s
        self._back_off_until_s = 0.0

    def notify(self, job_id: int) -> bool:
        """Sends one wake-up. True when the message is in Redis."""
        return self.notify_all([job_id])

    def notify_all(self, job_ids: Sequence[int]) -> bool:
        """Sends a wake-up for each job, all in one command. True when they are in Redis."""
        if not job_ids:
            return True
        if self._monotonic_s() < self._back_off_until_s:
            return False
        try:
            self._redis.lpush(KEY_PREFIX + QUEUE, *self._messages(job_ids))
        except RedisError as error:
            self._back_off_until_s = self._monotonic_s() + _BACK_OFF_S
            _log.warning("no worker was woken; the scheduler will try again", jobs=job_ids, error=str(error))
            return False
        return True

    def forward(self, job_id: int, queues: Mapping[str, int]) -> None:
        """Sends a wake-up to each of these queues, unless it holds as many messages as its workers have slots.

        A queue that is so full needs no more: each of its messages makes a worker look for the job that has waited
        longest, as soon as that worker is free.
        """
        (message,) = self._messages([job_id])
        try:
            for queue, slots in queues.items():
                if int(self._redis.llen(KEY_PREFIX + queue)) < slots:
                    self._redis.lpush(KEY_PREFIX + queue, message)
        except RedisError as error:
            _log.warning("no worker was woken; the scheduler will try again", jobs=[job_id], error=str(error))

    def close_idle(self) -> None:
        """Closes the connections that no thread uses; the next call opens one again."""
        self._redis.connection_pool.disconnect(inuse_connections=False)

    def _messages(self, job_ids: Sequence[int]) -> Iterator[str]:
        """What Celery's ``send_task`` would put into Redis, at a twentieth of the cost; a test compares the two."""
        task = self._celery.amqp.as_task_v2("", TASK, expires=MESSAGE_EXPIRES_S, ignore_result=True)
        more = json.dumps(task.body[1:]).removeprefix("[")
        # Built once, and filled in for each job.
        template = json.dumps(
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
            yield template.replace("@body@", body).replace("@job@", str(job_id)).replace("@id@", str(uuid4()))


class BackgroundNotifier:
    """Calls a notifier from a thread of its own, for callers that must not wait for Redis. A context manager.

    Calls that arrive while a batch is sent go into the next batch. When the buffer is full, a call is dropped: its
    jobs wait in their rows, and the scheduler notifies.
    """

    def __init__(self, notifier: Notifier, *, waiting_max: int = 10_000) -> None:
        self._notifier = notifier
        self._waiting_max = waiting_max
        self._waiting: SimpleQueue[Sequence[int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)

    def notify(self, *job_ids: int) -> None:
        """Returns at once, whatever the broker does."""
        if self._waiting.qsize() < self._waiting_max:
            self._waiting.put(job_ids)
        else:
            _log.warning("too many wake-ups wait to be sent; the scheduler will send these", jobs=job_ids)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Sends what waits, then stops the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            batch = [self._waiting.get()]
            while len(batch) < _BATCH_MAX and not self._waiting.empty():
                batch.append(self._waiting.get())
            last = batch[-1] is None
            if job_ids := [job_id for call in batch if call for job_id in call]:
                self._notifier.notify_all(job_ids)


def queue_length(redis: Redis) -> int:
    """How many wake-ups no worker has taken yet. Raises RedisError."""
    return int(redis.llen(KEY_PREFIX + QUEUE))
