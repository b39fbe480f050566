"""What runs by the clock: gives jobs of dead workers to others, starts crons, sends lost wake-ups again, cleans up."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

import structlog
from redis import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipelines.state import State
from workers import store
from workers.artifacts.housekeeping import delete_unused_artifacts
from workers.artifacts.sent_trees import drop_old_sent_trees
from workers.back_off import BackOff
from workers.blobs import BlobStore, open_blobs
from workers.caches.housekeeping import drop_old_copies
from workers.db.full_disk import means_full_disk
from workers.db.session import db_now_ms, make_engine, reading, transaction
from workers.logs import LogStore, open_logs
from workers.queue.celery_app import MESSAGE_EXPIRES_S, make_celery
from workers.queue.wakeups import Notifier, queue_length
from workers.retention_policy import RetentionPolicy
from workers.scheduler.candidate import TICK_S, Candidate
from workers.scheduler.delays import end_due_delays
from workers.scheduler.duties import Duty, DutyReporter, DutyThread, stop_all
from workers.scheduler.first_wait import when_there_is_an_installation
from workers.scheduler.missed_pushes import MISSED_PUSHES_EVERY_S, MissedPushes
from workers.scheduler.missed_turns import MissedTurns
from workers.scheduler.old_logs_and_logins import (
    delete_expired_logins,
    delete_expired_logs,
    delete_marked_logs,
    delete_old_audit_entries,
)
from workers.scheduler.old_runs_and_deliveries import OldRows, delete_old_payloads
from workers.scheduler.pace import AT_REST_S, Pace, listening
from workers.scheduler.silence import SilenceWatch
from workers.scheduler.sizes import SharedSizes
from workers.settings import Settings
from workers.statuses.reporter import background_reporter
from workers.store.jobs import leases
from workers.store.processes.duties import WAKE_UPS
from workers.streaming.redis_stream import LiveTail, connect
from workers.tracing.tracing import open_tracing
from workers.triggers.crons import start_due

NOTIFY_AGAIN_S = 5
"""If a job's last wake-up is older than this, and no message waits in the queue, then the message was lost."""

_CLEANUP_EVERY_S = 60.0
_OLD_ROWS_EVERY_S = 300.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class SchedulerContext:
    """The connections and limits of the scheduler. ``waiting`` is how many wake-ups no worker has taken yet.

    ``monotonic_s`` is the clock by which leases expire and failures are tried again. ``disk_was_full`` is set when the
    database could not be written for lack of room on its disk: then no worker could renew its lease, either.
    ``trace_ended`` is called with each job that has ended so.
    """

    engine: Engine
    notify: Callable[[int], bool]
    waiting: Callable[[], int]
    live: LiveTail
    logs: LogStore
    blobs: BlobStore
    attempts_max: int
    retention_days: int
    audit_days: int
    lease_s: int
    monotonic_s: Callable[[], float] = time.monotonic
    disk_was_full: threading.Event = field(default_factory=threading.Event)
    pace: Pace = field(default_factory=Pace)
    find_missed_pushes: Callable[[], str] = str
    limits: RetentionPolicy = field(default_factory=RetentionPolicy)
    shared_cache_bytes_max: int = 0
    sent_tree_days: int = 7
    trace_ended: Callable[[int], object] = bool


@dataclass
class Reaper:
    """Takes jobs from workers that do not renew their leases."""

    context: SchedulerContext
    watch: SilenceWatch[leases.HeldLease] = field(init=False)
    back_off: BackOff = field(init=False)

    def __post_init__(self) -> None:
        self.watch = SilenceWatch(self.context.monotonic_s)
        self.back_off = BackOff(self.context.monotonic_s)

    def __call__(self) -> str:
        """One round. Returns which runs could not be handled, which are tried again after a pause."""
        if self.context.disk_was_full.is_set():
            self.context.disk_was_full.clear()
            self.watch.forget()
        with reading(self.context.engine) as session:
            held = leases.held(session)
        by_run: dict[int, list[leases.HeldLease]] = {}
        for lease in self.watch.silent(held, lambda lease: lease.lease_s or self.context.lease_s):
            by_run.setdefault(lease.run_id, []).append(lease)
        for run_id, expired in by_run.items():
            if self.back_off.is_due(run_id):
                self._reap(run_id, expired)
        return self.back_off.problem()

    def _reap(self, run_id: int, expired: Iterable[leases.HeldLease]) -> None:
        try:
            with transaction(self.context.engine) as session:
                reaped = leases.reap(session, expired, self.context.attempts_max)
                if reaped:
                    store.bump_counter(session, store.LEASES_LOST, len(reaped))
        except SQLAlchemyError as error:
            if means_full_disk(error):
                self.context.disk_was_full.set()
                return
            self.back_off.failed(run_id, f"Jobs of run {run_id} cannot be taken from a dead worker: {error}.")
            return
        self.back_off.succeeded(run_id)
        for job in reaped:
            _log.warning("a worker lost its lease", job=job.job_id, run=job.run_id, state=job.state.value)
            self.context.live.changed(job.run_id)
            if job.state is not State.QUEUED:
                # A worker may still run it without a lease.
                self.context.live.publish_cancel(job.run_id)
                self.context.trace_ended(job.job_id)


def start_crons(context: SchedulerContext, back_off: BackOff) -> str:
    """Starts the crons that are due. Returns which of them could not be started."""
    with reading(context.engine) as session:
        now_ms = db_now_ms(session)
    for queued in start_due(context.engine, now_ms, back_off):
        context.notify(queued.job_id)
        context.live.changed(queued.run_id)
    return back_off.problem()


def notify_again(context: SchedulerContext) -> str:
    """Sends a wake-up for jobs whose message was lost. Returns why none can be sent."""
    with reading(context.engine) as session:
        if not leases.ready_not_notified(session, NOTIFY_AGAIN_S, limit=1):
            return ""
    try:
        waiting = context.waiting()
    except RedisError as error:
        return f"Redis does not answer: jobs start some seconds late, when a worker looks for them itself. {error}."
    # While wake-ups wait, all workers are busy: another message would only wait behind them, until they expire.
    with reading(context.engine) as session:
        job_ids = store.jobs_for_free_workers(session, MESSAGE_EXPIRES_S if waiting else NOTIFY_AGAIN_S)
    notified = list(takewhile(context.notify, job_ids))
    if notified:
        with transaction(context.engine) as session:
            leases.mark_notified(session, notified)
    return ""


def duties_of(context: SchedulerContext) -> list[Duty]:
    """All duties. What they remember of their failures lasts as long as the list."""
    crons, old_logs = BackOff(context.monotonic_s), BackOff(context.monotonic_s)
    missed_turns = MissedTurns()
    old_rows = OldRows(context.engine, context.logs, context.limits, BackOff(context.monotonic_s))

    def turns() -> str:
        missed_turns(context.engine)
        return ""

    def delayed() -> str:
        end_due_delays(context.engine, context.notify)
        return ""

    def logins() -> str:
        delete_expired_logins(context.engine)
        return ""

    def audit() -> str:
        delete_old_audit_entries(context.engine, context.audit_days)
        return ""

    def payloads() -> str:
        delete_old_payloads(context.engine)
        return ""

    def logs() -> str:
        delete_expired_logs(context.engine, context.logs, context.retention_days, old_logs)
        return old_logs.problem()

    def rows() -> str:
        old_rows.remove()
        return old_rows.back_off.problem()

    return [
        Duty("jobs of dead workers", TICK_S, Reaper(context), of_unfinished=True),
        Duty("missed turns", TICK_S, turns, of_unfinished=True),
        Duty("delayed jobs", TICK_S, delayed, of_unfinished=True),
        Duty("crons", TICK_S, lambda: start_crons(context, crons)),
        Duty(WAKE_UPS, TICK_S, lambda: notify_again(context), of_unfinished=True),
        Duty("missed pushes", MISSED_PUSHES_EVERY_S, context.find_missed_pushes),
        Duty("expired logins", _CLEANUP_EVERY_S, logins),
        Duty("old audit entries", _CLEANUP_EVERY_S, audit),
        Duty("old payloads of deliveries", _CLEANUP_EVERY_S, payloads),
        Duty("old logs", _CLEANUP_EVERY_S, logs),
        Duty("old runs", _OLD_ROWS_EVERY_S, rows),
        Duty("sizes", _CLEANUP_EVERY_S, SharedSizes(context.engine, context.monotonic_s)),
        Duty("marked logs", _CLEANUP_EVERY_S, lambda: delete_marked_logs(context.logs)),
        Duty(
            "old shared caches",
            _CLEANUP_EVERY_S,
            lambda: drop_old_copies(context.engine, context.shared_cache_bytes_max),
        ),
        Duty("old sent trees", _CLEANUP_EVERY_S, lambda: drop_old_sent_trees(context.engine, context.sent_tree_days)),
        Duty("old artifacts", _CLEANUP_EVERY_S, lambda: delete_unused_artifacts(context.engine, context.blobs)),
    ]


def run_scheduler(settings: Settings, stop: threading.Event) -> None:
    """Runs until ``stop`` is set. Of several schedulers one leads; another takes over when its lease expires.

    It waits for a database that is not ready. Raises StartError for one that it cannot work with.
    """
    vault = when_there_is_an_installation(settings, stop)
    if vault is None:
        return
    engine, redis = make_engine(settings.database), connect(settings.redis_url)
    notify, live = Notifier(make_celery(settings)).notify, LiveTail(redis)
    context = SchedulerContext(
        engine=engine,
        notify=notify,
        waiting=lambda: queue_length(redis),
        live=live,
        logs=open_logs(settings, engine),
        blobs=open_blobs(settings),
        attempts_max=settings.attempts_max,
        retention_days=settings.retention_days,
        audit_days=settings.audit_days,
        lease_s=settings.lease_s,
        find_missed_pushes=MissedPushes(engine, vault, settings, notify, live),
        limits=settings.retention,
        shared_cache_bytes_max=settings.shared_cache_bytes_max,
        sent_tree_days=settings.sent_tree_days,
        trace_ended=(tracing := open_tracing(settings, engine)).ended,
    )
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    wait = partial(context.pace.wait, TICK_S, AT_REST_S)
    try:
        with listening(redis, context.pace), background_reporter(engine, vault, settings, wait):
            _run_until_stopped(context, owner, stop)
    finally:
        tracing.exporter.close()
        redis.close()
        engine.dispose()


def _run_until_stopped(context: SchedulerContext, owner: str, stop: threading.Event) -> None:
    """This thread keeps the lead, and sees whether a duty hangs: no duty can delay that."""
    candidate, leading = Candidate(context.engine, owner), threading.Event()
    threads = [
        DutyThread(duty, leading, stop, context.pace, DutyReporter(context.engine, duty.name))
        for duty in duties_of(context)
    ]
    for thread in threads:
        thread.start()
    try:
        while not stop.is_set():
            pause_s = _keep_lead(candidate, leading, context)
            for thread in threads:
                thread.report_if_it_hangs()
            stop.wait(pause_s)
    finally:
        stop.set()
        context.pace.end()
        stop_all(threads)
    candidate.give_up()


def _keep_lead(candidate: Candidate, leading: threading.Event, context: SchedulerContext) -> float:
    """Goes on leading, and sees whether there is something to do. Returns the seconds until the next round."""
    try:
        with reading(context.engine) as session:
            if leases.any_job_to_do(session):
                context.pace.news()
        pause_s = TICK_S if context.pace.busy else AT_REST_S
        leads = candidate.leads(pause_s)
    except SQLAlchemyError as error:
        _log.warning("the database does not answer; trying again", error=str(error))
        if means_full_disk(error):
            context.disk_was_full.set()
        pause_s, leads = TICK_S, False
    leading.set() if leads else leading.clear()
    return pause_s
