"""What must be done all the time: find silent workers, ring again for jobs that wait, throw away what is too old."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipelines.state import State
from workers import store
from workers.db.session import db_now_ms, make_engine, reading, transaction
from workers.logs import LogStore, open_logs
from workers.queue.celery_app import MESSAGE_EXPIRES_S, Bell, make_celery, queue_length
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.statuses.reporter import reporting
from workers.store import leases
from workers.streaming.redis_stream import LiveTail, connect
from workers.triggers.crons import start_due

RING_AGAIN_S = 5
"""A job that was rung for so long ago, while no message waits, was not heard: its message is lost."""

_LEADER = "scheduler"
_LEAD_S = 5
_TICK_S = 1.0
_HOUSEKEEPING_S = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class Duties:
    """All that the scheduler works with. ``waiting`` is how many wake-ups no worker has taken yet."""

    engine: Engine
    ring: Callable[[int], bool]
    waiting: Callable[[], int]
    live: LiveTail
    logs: LogStore
    attempts_max: int
    retention_days: int


def tick(duties: Duties) -> None:
    """Once around: jobs of silent workers are given back, due crons start, and whoever waits unheard is rung for."""
    _reap(duties)
    _start_due(duties)
    _ring_again(duties)


def clean(duties: Duties) -> None:
    """Drops logins whose time is over, and logs of runs that ended too long ago."""
    with transaction(duties.engine) as session:
        store.drop_expired(session)
    if not duties.retention_days:
        return
    with reading(duties.engine) as session:
        run_ids = store.runs_past_retention(session, duties.retention_days)
    for run_id in run_ids:
        duties.logs.delete_run(run_id)
    if run_ids:
        with transaction(duties.engine) as session:
            store.forget_logs(session, run_ids)


def _start_due(duties: Duties) -> None:
    with reading(duties.engine) as session:
        now_ms = db_now_ms(session)
    for queued in start_due(duties.engine, now_ms):
        duties.ring(queued.job_id)
        duties.live.changed(queued.run_id)


def _reap(duties: Duties) -> None:
    with reading(duties.engine) as session:
        run_ids = dict.fromkeys(run_id for _, run_id in leases.overdue(session))
    reaped: list[leases.Reaped] = []
    for run_id in run_ids:
        with transaction(duties.engine) as session:
            reaped += leases.reap(session, duties.attempts_max, run_id)
    for job in reaped:
        _log.warning("a worker fell silent", job=job.job_id, run=job.run_id, state=job.state.value)
        duties.live.changed(job.run_id)
        if job.state is not State.QUEUED:
            # Word for whoever still works on it without a lease.
            duties.live.nudge_cancel(job.run_id)


def _ring_again(duties: Duties) -> None:
    with reading(duties.engine) as session:
        if not leases.ready_unrung(session, RING_AGAIN_S, limit=1):
            return
    try:
        waiting = duties.waiting()
    except RedisError as error:
        _log.warning("nobody can be woken while Redis does not answer", error=str(error))
        return
    # While wake-ups wait, all workers are busy: another message would only wait behind them, until they expire.
    with reading(duties.engine) as session:
        job_ids = leases.ready_unrung(session, MESSAGE_EXPIRES_S if waiting else RING_AGAIN_S)
        heard = store.heard(session, job_ids)
    rung = []
    for job_id in job_ids:
        if job_id in heard and not duties.ring(job_id):
            break
        rung.append(job_id)
    if rung:
        with transaction(duties.engine) as session:
            leases.mark_rung(session, rung)


def run_scheduler(settings: Settings, stop: threading.Event) -> None:
    """Goes on until ``stop`` is set. Of several schedulers one works, and another takes over when it falls silent."""
    engine, redis = make_engine(settings.database), connect(settings.redis_url)
    duties = Duties(
        engine=engine,
        ring=Bell(make_celery(settings)).ring,
        waiting=lambda: queue_length(redis),
        live=LiveTail(redis),
        logs=open_logs(settings),
        attempts_max=settings.attempts_max,
        retention_days=settings.retention_days,
    )
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    try:
        with reporting(engine, open_vault(settings), settings):
            _go_on(duties, owner, stop)
    finally:
        redis.close()
        engine.dispose()


def _go_on(duties: Duties, owner: str, stop: threading.Event) -> None:
    cleaned_s = -_HOUSEKEEPING_S
    while not stop.is_set():
        try:
            with transaction(duties.engine) as session:
                leads = leases.take_lead(session, _LEADER, owner, _LEAD_S)
            if leads:
                tick(duties)
            if leads and time.monotonic() - cleaned_s >= _HOUSEKEEPING_S:
                cleaned_s = time.monotonic()
                clean(duties)
        except SQLAlchemyError as error:
            _log.warning("the database does not answer; trying again", error=str(error))
        stop.wait(_TICK_S)
    try:
        with transaction(duties.engine) as session:
            leases.give_up_lead(session, _LEADER, owner)
    except SQLAlchemyError as error:
        _log.warning("another scheduler takes over a few seconds late", error=str(error))
