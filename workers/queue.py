"""The Celery application, and ringing: a message is a wake-up with a job's id. The database is the truth."""

import time
from collections.abc import Callable

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis

from workers.settings import Settings

TASK = "headway.work"
QUEUE = "headway"
MESSAGE_EXPIRES_S = 60
"""A message that nobody took for so long evaporates; the scheduler rings again for jobs that still wait."""

_PREFIX = "headway:"
_SILENCE_S = 1.0
_RING_TIMEOUT_S = 0.8
_NO_SECOND_TRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
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
        worker_soft_shutdown_timeout=30,
        worker_hijack_root_logger=False,
        # Redis.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options=_transport_options(connect_timeout_s=5, timeout_s=30),
        visibility_timeout=300,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    )
    return app


def _transport_options(connect_timeout_s: float, timeout_s: float) -> dict[str, object]:
    return {
        "visibility_timeout": 300,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": connect_timeout_s,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "global_keyprefix": _PREFIX,
    }


class Bell:
    """Wakes a worker for a job. To be rung after the commit, for the worker must find the row.

    A broker that is away is not an error: the row waits, and the scheduler rings again. After a failure the bell stays
    silent for a second, so that a dead broker does not hold up one webhook after the other. Serves all threads.
    """

    def __init__(self, celery: Celery, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        # Celery as workers need it waits for its broker with patience; whoever rings has a forge on the line.
        self._celery = Celery("headway-bell", broker=celery.conf.broker_url, set_as_current=False)
        self._celery.conf.update(
            task_default_queue=QUEUE,
            task_serializer="json",
            broker_transport_options=_transport_options(_RING_TIMEOUT_S, _RING_TIMEOUT_S) | _NO_SECOND_TRY,
        )
        self._monotonic_s = monotonic_s
        self._silent_until_s = 0.0

    def ring(self, job_id: int) -> bool:
        """True when a message is on its way."""
        if self._monotonic_s() < self._silent_until_s:
            return False
        try:
            self._celery.send_task(
                TASK, args=[job_id], queue=QUEUE, expires=MESSAGE_EXPIRES_S, ignore_result=True, retry=False
            )
        except OperationalError as error:
            self._silent_until_s = self._monotonic_s() + _SILENCE_S
            _log.warning("nobody was woken; the scheduler will ring again", job=job_id, error=str(error))
            return False
        return True


def queue_length(redis: Redis) -> int:
    """How many wake-ups no worker has taken yet. Raises RedisError."""
    return int(redis.llen(_PREFIX + QUEUE))
