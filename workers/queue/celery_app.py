"""The Celery application. A message is a wake-up with a job's id; the database decides who runs the job."""

from celery import Celery

from workers.settings import Settings

TASK = "headway.work"
QUEUE = "headway"
MESSAGE_EXPIRES_S = 60
"""A message that no worker takes for so long expires; the scheduler sends another for each job that still waits."""
KEY_PREFIX = "headway:"
"""What all of Celery's keys in Redis begin with."""

_TIME_LIMIT_MARGIN_S = 900  # Celery kills a process only long after the job's own timeout should have ended it


def make_celery(settings: Settings) -> Celery:
    """The application with its settings; ``workers.jobs.process.process`` registers the one task."""
    app = Celery("headway", broker=settings.redis_url)
    app.conf.update(
        # A message is only a wake-up: no results, no redelivery, no prefetching, no remote control.
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
        # The pool. There is no soft time limit: it would raise an exception anywhere in the code.
        worker_pool="prefork",
        worker_concurrency=settings.worker_slots,
        worker_max_tasks_per_child=100,
        worker_max_memory_per_child=500_000,  # KiB
        worker_proc_alive_timeout=30,
        task_time_limit=settings.job_timeout_s + _TIME_LIMIT_MARGIN_S,
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
            # How long Redis holds a request for a message, in seconds: a worker at rest asks again that often.
            "polling_interval": 10,
            "global_keyprefix": KEY_PREFIX,
        },
        visibility_timeout=300,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    )
    return app
