"""The settings of the Celery application."""

from workers.queue.celery_app import make_celery
from workers.settings import Settings


def test_celery_keeps_no_results_and_repeats_no_message() -> None:
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
