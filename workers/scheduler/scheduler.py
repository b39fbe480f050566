"""What runs by the clock: gives jobs of dead workers to others, starts crons, sends lost wake-ups again, cleans up."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile

import structlog
from redis import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipelines.state import State
from workers import store
from workers.db.session import db_now_ms, make_engine, reading, transaction
from workers.logs import LogStore, open_logs
from workers.queue.celery_app import MESSAGE_EXPIRES_S, make_celery
from workers.queue.wakeups import Notifier, queue_length
from workers.scheduler.missed_turns import MissedTurns
from workers.scheduler.retention import delete_expired
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.statuses.reporter import background_reporter
from workers.store import leases
from workers.streaming.redis_stream import LiveTail, connect
from workers.triggers.crons import start_due

NOTIFY_AGAIN_S = 5
"""If a job's last wake-up is older than this, and no message waits in the queue, then the message was lost."""

_ROLE = "scheduler"
_LEAD_LEASE_S = 5
_TICK_S = 1.0
_CLEANUP_EVERY_S = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class SchedulerContext:
    """The connections and limits of the scheduler. ``waiting`` is how many wake-ups no worker has taken yet."""

    engine: Engine
    notify: Callable[[int], bool]
    waiting: Callable[[], int]
    live: LiveTail
    logs: LogStore
    attempts_max: int
    retention_days: int
    missed_turns: MissedTurns = field(default_factory=MissedTurns)


def tick(context: SchedulerContext) -> None:
    """One round: takes jobs from dead workers, starts due crons, sends a wake-up for jobs whose message was lost."""
    _reap(context)
    _start_due(context)
    context.missed_turns(context.engine)
    _notify_again(context)


def _start_due(context: SchedulerContext) -> None:
    with reading(context.engine) as session:
        now_ms = db_now_ms(session)
    for queued in start_due(context.engine, now_ms):
        context.notify(queued.job_id)
        context.live.changed(queued.run_id)


def _reap(context: SchedulerContext) -> None:
    with reading(context.engine) as session:
        run_ids = dict.fromkeys(run_id for _, run_id in leases.overdue(session))
    reaped: list[leases.Reaped] = []
    for run_id in run_ids:
        with transaction(context.engine) as session:
            reaped += leases.reap(session, context.attempts_max, run_id)
    for job in reaped:
        _log.warning("a worker lost its lease", job=job.job_id, run=job.run_id, state=job.state.value)
        context.live.changed(job.run_id)
        if job.state is not State.QUEUED:
            # A worker may still run it without a lease.
            context.live.publish_cancel(job.run_id)


def _notify_again(context: SchedulerContext) -> None:
    with reading(context.engine) as session:
        if not leases.ready_not_notified(session, NOTIFY_AGAIN_S, limit=1):
            return
    try:
        waiting = context.waiting()
    except RedisError as error:
        _log.warning("no worker can be woken while Redis does not answer", error=str(error))
        return
    # While wake-ups wait, all workers are busy: another message would only wait behind them, until they expire.
    with reading(context.engine) as session:
        job_ids = store.jobs_for_free_workers(session, MESSAGE_EXPIRES_S if waiting else NOTIFY_AGAIN_S)
    notified = list(takewhile(context.notify, job_ids))
    if notified:
        with transaction(context.engine) as session:
            leases.mark_notified(session, notified)


def run_scheduler(settings: Settings, stop: threading.Event) -> None:
    """Runs until ``stop`` is set. Of several schedulers one leads; another takes over when its lease expires."""
    engine, redis = make_engine(settings.database), connect(settings.redis_url)
    context = SchedulerContext(
        engine=engine,
        notify=Notifier(make_celery(settings)).notify,
        waiting=lambda: queue_length(redis),
        live=LiveTail(redis),
        logs=open_logs(settings),
        attempts_max=settings.attempts_max,
        retention_days=settings.retention_days,
    )
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    try:
        with background_reporter(engine, open_vault(settings), settings):
            _run_until_stopped(context, owner, stop)
    finally:
        redis.close()
        engine.dispose()


def _run_until_stopped(context: SchedulerContext, owner: str, stop: threading.Event) -> None:
    cleaned_up_s = -_CLEANUP_EVERY_S
    while not stop.is_set():
        try:
            with transaction(context.engine) as session:
                leads = leases.take_lead(session, _ROLE, owner, _LEAD_LEASE_S)
            if leads:
                tick(context)
            if leads and time.monotonic() - cleaned_up_s >= _CLEANUP_EVERY_S:
                cleaned_up_s = time.monotonic()
                delete_expired(context.engine, context.logs, context.retention_days)
        except SQLAlchemyError as error:
            _log.warning("the database does not answer; trying again", error=str(error))
        stop.wait(_TICK_S)
    try:
        with transaction(context.engine) as session:
            leases.give_up_lead(session, _ROLE, owner)
    except SQLAlchemyError as error:
        _log.warning("another scheduler takes over a few seconds late", error=str(error))
