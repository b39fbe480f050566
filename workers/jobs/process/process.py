"""The worker process: Celery's pool of child processes, and what each child needs."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import (
    worker_before_create_process,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from runner.docker.client import Engine
from runner.docker.compatibility import missing_limits
from workers import store
from workers.db.session import make_engine, transaction
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.kept_files.kept_files import KeptFiles
from workers.jobs.leftovers import PROBE, PeriodicSweep, remove_dead_attempts
from workers.jobs.machine.cleaner import MachineCleaner
from workers.jobs.machine.engine_wait import wait_for_engine
from workers.jobs.machine.heartbeat import Heartbeat
from workers.jobs.machine.host_rules import HostRulesUpkeep
from workers.jobs.machine.housekeeping import Housekeeping
from workers.jobs.mirror_maintenance import tidy
from workers.jobs.process.connections import WorkerFlags, make_context, prove_data_dir
from workers.jobs.process.drain import DrainWatch, following_drains
from workers.jobs.process.pool_memory import share_memory
from workers.jobs.process.without_redis import WAIT_FOR_TURN_S, LooksWithoutRedis, Turn, redis_answers
from workers.jobs.running_jobs import RunningJobs
from workers.jobs.takeovers.lease_holding import keep_for_successor
from workers.jobs.takeovers.takeover import take_over
from workers.jobs.takeovers.takeover_watch import (
    TAKE_OVER,
    hand_over_jobs,
    hand_over_on_signal,
    takeovers_step,
)
from workers.labels import offered_here, queue_of
from workers.queue.celery_app import QUEUE, TASK, make_celery
from workers.queue.worker_output import quiet
from workers.settings import Settings
from workers.streaming.redis_stream import connect
from workers.tracing.exporter import report_problem

_log = structlog.get_logger()


STOPPING = "It shuts down, and takes no more jobs."


def make_worker(settings: Settings, name: str, flags: WorkerFlags) -> Celery:
    """The Celery application with its two tasks, for the worker ``name``."""
    app = make_celery(settings)
    contexts: list[WorkerContext] = []
    turn = Turn()

    @worker_before_create_process.connect(weak=False)
    def _before_fork(**_: object) -> None:
        share_memory()

    def opened() -> WorkerContext:
        if not contexts:
            contexts.append(_open_process(settings, name, flags))
        return contexts[-1]

    @worker_process_init.connect(weak=False)
    def _after_fork(**_: object) -> None:
        # Celery logs an error here, and the process lives on: its next job tries again.
        contexts.clear()
        _look_without_redis(opened(), flags, turn)

    @worker_process_shutdown.connect(weak=False)
    def _before_the_end(**_: object) -> None:
        turn.end(settings.shutdown_s)

    _add_tasks(app, opened, turn)
    return app


def _add_tasks(app: Celery, opened: Callable[[], WorkerContext], turn: Turn) -> None:
    @app.task(name=TASK)
    def _work(job_id: int) -> None:
        # After a while without a turn the scheduler sends another wake-up, to any worker.
        with turn.taken(WAIT_FOR_TURN_S) as mine:
            if mine:
                _at_work(opened(), lambda context: work(context, job_id))

    @app.task(name=TAKE_OVER)
    def _take_over(running_job: str) -> None:
        # The parent process asks again for a job that no process has taken over.
        with turn.taken(WAIT_FOR_TURN_S) as mine:
            if mine:
                _at_work(opened(), lambda context: take_over(context, running_job))


def _at_work(context: WorkerContext, do: Callable[[WorkerContext], object]) -> None:
    with context.connections.in_use():
        do(context)
        _clean_up(context)


def _look_without_redis(context: WorkerContext, flags: WorkerFlags, turn: Turn) -> None:
    """Starts the thread that looks for jobs while Redis is away."""
    redis = connect(context.settings.redis_url)

    def find() -> int | None:
        problem = flags.stopping or context.settings.disk_reserve.problem() or context.engine_watch.problem()
        return None if problem else context.claimer.next_ready()

    def run(job_id: int) -> None:
        _at_work(context, lambda context: work(context, job_id))

    LooksWithoutRedis(partial(redis_answers, redis), find, run, turn).start()


def _clean_up(context: WorkerContext) -> None:
    if context.engine_watch.problem():
        return
    settings = context.settings
    remove_dead_attempts(context.database, context.engine(), context.installation, settings.workspaces_dir)
    tidy(context.database, settings.mirrors_dir)


def _open_process(settings: Settings, name: str, flags: WorkerFlags) -> WorkerContext:
    """Connects one process of the pool, and starts its heartbeat."""
    mine = make_context(settings, name, flags)
    hand_over_on_signal(mine.running)
    worker_process_shutdown.connect(lambda **_: mine.tracing.exporter.close(), weak=False)
    watch = mine.engine_watch

    def problem() -> str:
        return STOPPING if flags.stopping else _look_at_disk(settings) or watch.problem()

    watch.start()
    beats = _heartbeat(settings, name, mine.database, problem)
    beats.share(flags.beat_turn, mine.connections.look)
    beats.start()
    kept = KeptFiles(settings, mine.database, mine.engine, mine.installation)
    Housekeeping(settings, kept.cleaned_before(MachineCleaner(settings, mine.database, mine.engine).clean)).start()
    return mine


def _heartbeat(settings: Settings, name: str, database: Database, problem: Callable[[], str]) -> Heartbeat:
    labels = offered_here(settings.worker_labels)
    return Heartbeat(database, name, labels, settings.worker_slots, settings.lease_s, problem)


def _look_at_disk(settings: Settings) -> str:
    """Makes the ballast again where there is room. Returns why this worker takes no job."""
    try:
        settings.ballast.restore(settings.disk_reserve_bytes)
    except OSError as error:
        _log.warning("the ballast could not be made", folder=str(settings.ballast.folder), error=str(error))
    return settings.disk_reserve.problem()


def run_worker(settings: Settings, exit_when_idle_s: float | None = None, *, ends: bool = True) -> None:
    """Works until it gets a signal to stop, or is drained and ``ends`` then.

    Raises MachineError where the engine, or its view of our data, is wrong.
    """
    name = f"{socket.gethostname()}-{secrets.token_hex(2)}"
    report_problem()
    try:
        wait_for_engine(settings, partial(_heartbeat, settings, name))
        installation, host_rules = _prepare(settings, name)
    except BaseException:
        _sign_off(settings, name)
        raise
    flags = WorkerFlags()
    app = make_worker(settings, name, flags)
    app.steps["worker"].add(_rounds(settings, installation, host_rules))
    app.steps["worker"].add(takeovers_step(settings))
    watch = partial(
        DrainWatch, partial(make_engine, settings.database), name,
        ends=ends, idle_s=exit_when_idle_s, last_claim_s=flags.last_claim.at_s,
    )  # fmt: skip
    queues = [QUEUE, queue_of(offered_here(settings.worker_labels))]
    app.steps["worker"].add(following_drains(watch, queues))
    worker = quiet(app.Worker)(
        pool="prefork",
        concurrency=settings.worker_slots,
        queues=queues,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    _bound_shutdown(settings, name, flags, partial(_pool_processes, worker))
    try:
        # Celery logs an error that ends the worker, and only notes its status here.
        worker.start()
    finally:
        _sign_off(settings, name)
    if worker.exitcode:
        raise SystemExit(worker.exitcode)


def _sign_off(settings: Settings, name: str) -> None:
    database = make_engine(settings.database)
    try:
        keep_for_successor(database, RunningJobs(settings.running_dir), name)
        with transaction(database) as session:
            store.remove_worker(session, name)
    except SQLAlchemyError as error:
        _log.warning("this worker counts as alive until its last heartbeat expires", error=str(error))
    finally:
        database.dispose()


def _rounds(settings: Settings, installation: str, host_rules: HostRulesUpkeep) -> type[bootsteps.StartStopStep]:
    """Cleans up and looks after the host's rules periodically, in the event loop of the worker's parent process.

    No wake-up comes for a dead attempt.
    """

    class SweepNowAndThen(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def start(self, worker: Any) -> None:  # noqa: ANN401 - Celery's own object, which has no type
            engine = Engine(settings.docker_host or None, connect=False)
            sweep = PeriodicSweep(lambda: make_engine(settings.database), engine, installation, settings.workspaces_dir)
            worker.timer.call_repeatedly(settings.lease_s, sweep)
            worker.timer.call_repeatedly(settings.lease_s, partial(host_rules.look_in_background, engine))

    return SweepNowAndThen


def _pool_processes(worker: Any) -> list[int]:  # noqa: ANN401 - Celery's own object, which has no type
    """The processes of the worker's pool; none before it is started and after it has been stopped."""
    with suppress(AttributeError):
        return list(worker.pool.info["processes"])
    return []


def _bound_shutdown(settings: Settings, name: str, flags: WorkerFlags, processes: Callable[[], Iterable[int]]) -> None:
    """A worker that gets a signal to stop waits for its jobs for ``shutdown_s``; then it leaves them to its successor.

    Celery's own "soft shutdown" always sleeps its whole time, even when the last job ended long before.
    """

    def give_up() -> None:
        hand_over_jobs(processes())
        os.kill(os.getpid(), signal.SIGQUIT)

    def announce() -> None:
        """At once: until the next heartbeat the pages would say that this worker takes jobs."""
        database = make_engine(settings.database)
        with suppress(SQLAlchemyError):
            _heartbeat(settings, name, database, lambda: STOPPING).beat()
        database.dispose()

    @worker_shutting_down.connect(weak=False)
    def _stopping(how: str, **_: object) -> None:
        if how == "Warm" and not flags.stopping:  # TERM may come twice
            flags.stopping.set()
            shutdown_s = settings.shutdown_s
            threading.Thread(target=announce, name="announce", daemon=True).start()
            _log.info("the worker stops: it takes no new jobs, and waits for running ones", at_most_s=shutdown_s)
            timer = threading.Timer(shutdown_s, give_up)
            timer.daemon = True
            timer.start()


def _prepare(settings: Settings, name: str) -> tuple[str, HostRulesUpkeep]:
    """Checks the engine and the disk, removes an earlier worker's leftovers, and sets the host's rules. Called before
    the fork.

    Returns this installation's name, and what keeps the rules in place.
    """
    engine = Engine(settings.docker_host or None)
    context = make_context(settings, name)
    try:
        if warning := missing_limits(engine.info()):
            _log.warning(warning)
        prove_data_dir(engine, context.installation, settings.workspaces_dir)
        remove_dead_attempts(context.database, engine, context.installation, settings.workspaces_dir)
        rules = HostRulesUpkeep(f"{context.installation}-{PROBE}", context.egress, settings)
        rules.look(engine)
        return context.installation, rules
    finally:
        context.database.dispose()
        engine.close()
