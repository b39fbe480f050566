"""The worker process: Celery's pool of child processes, and what each child needs."""

import gc
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import worker_before_create_process, worker_process_init, worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from pipelines.state import Reason
from runner.builds.buildkit import find_builder
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.docker.compatibility import missing_limits
from runner.docker.folders import Folder
from runner.docker.sandbox_image import NO_PROGRAM, SANDBOX_IMAGE, ensure_sandbox_image
from runner.docker.specs import ContainerSpec, job_labels
from runner.errors import MachineError
from runner.network.egress import EgressSettings, server_egress
from workers import store
from workers.db.session import make_engine, transaction
from workers.jobs.claiming import JobClaimer
from workers.jobs.context import WorkerContext
from workers.jobs.drain import DrainWatch, LastClaim, following_drains
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.host_rules import HostRulesUpkeep
from workers.jobs.job_task import work
from workers.jobs.leftovers import PROBE, PeriodicSweep, remove_dead_attempts
from workers.jobs.mirror_maintenance import tidy
from workers.labels import offered_here, queue_of
from workers.logs import open_logs
from workers.queue.celery_app import QUEUE, TASK, make_celery
from workers.queue.wakeups import Notifier
from workers.queue.worker_output import quiet
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.store.processes.installation import NUMBER_MAX
from workers.store.processes.workers import OWNER_MARK
from workers.streaming.redis_stream import LiveTail, connect

_log = structlog.get_logger()


def make_context(settings: Settings, name: str = "", on_claim: Callable[[], object] = int) -> WorkerContext:
    """Connects to everything, for a process of the worker ``name``, if any. Call it after a fork, never before."""
    notifier = Notifier(make_celery(settings))
    environment = dict(os.environ)
    database = make_engine(settings.database)
    with transaction(database) as session:
        installation = store.installation(session, secrets.randbelow(NUMBER_MAX))
    return WorkerContext(
        settings=settings,
        egress=_egress(settings),
        installation=installation,
        database=database,
        logs=open_logs(settings),
        live=LiveTail(connect(settings.redis_url)),
        vault=open_vault(settings),
        notify=notifier.notify,
        engine=cache(lambda: Engine(settings.docker_host or None)),
        builder=cache(lambda: find_builder(environment.get("PATH", os.defpath), environment.get("HOME", "/"))),
        claimer=JobClaimer(
            database=database,
            owner=f"{name}{OWNER_MARK}{os.getpid()}-{secrets.token_hex(4)}",
            labels=offered_here(settings.worker_labels),
            lease_s=settings.lease_s,
            forward=notifier.forward,
            on_claim=on_claim,
        ),
    )


def _egress(settings: Settings) -> EgressSettings:
    """The company's network from the environment. Writes git's certificates. Raises MachineError if one is wrong."""
    try:
        company = server_egress(os.environ, settings.ca_file, step_proxy=settings.step_proxy)
    except ValueError as error:
        raise MachineError(Reason.INTERNAL, str(error)) from None
    if company.ca:
        company.ca.write(settings.ca_dir)
    return company


def make_worker(settings: Settings, name: str, on_claim: Callable[[], object] = int) -> Celery:
    """The Celery application with its one task, for the worker ``name``. Its processes call ``on_claim``."""
    app = make_celery(settings)
    contexts: list[WorkerContext] = []

    @worker_before_create_process.connect(weak=False)
    def _before_fork(**_: object) -> None:
        # The garbage collector would write into what the child shares with this process, and so copy it.
        gc.freeze()

    @worker_process_init.connect(weak=False)
    def _after_fork(**_: object) -> None:
        # Celery logs an error here, and the process lives on: its next job tries again.
        contexts.append(_open_process(settings, name, on_claim))

    @app.task(name=TASK)
    def _work(job_id: int) -> None:
        if not contexts:
            contexts.append(_open_process(settings, name, on_claim))
        mine = contexts[-1]
        work(mine, job_id)
        remove_dead_attempts(mine.database, mine.engine(), mine.installation, settings.workspaces_dir)
        tidy(mine.database, settings.mirrors_dir)

    return app


def _open_process(settings: Settings, name: str, on_claim: Callable[[], object]) -> WorkerContext:
    """Connects one process of the pool, and starts its heartbeat."""
    mine = make_context(settings, name, on_claim)
    labels, slots = mine.claimer.labels, settings.worker_slots
    Heartbeat(mine.database, name, labels, slots, settings.lease_s, partial(_look_at_disk, settings)).start()
    return mine


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
    installation, host_rules = _prepare(settings, name)
    _bound_shutdown(settings.shutdown_s)
    queues = [QUEUE, queue_of(offered_here(settings.worker_labels))]
    last_claim = LastClaim()
    app = make_worker(settings, name, last_claim.note)
    app.steps["worker"].add(_rounds(settings, installation, host_rules))
    watch = partial(
        DrainWatch, partial(make_engine, settings.database), name,
        ends=ends, idle_s=exit_when_idle_s, last_claim_s=last_claim.at_s,
    )  # fmt: skip
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
            engine = Engine(settings.docker_host or None)
            sweep = PeriodicSweep(lambda: make_engine(settings.database), engine, installation, settings.workspaces_dir)
            worker.timer.call_repeatedly(settings.lease_s, sweep)
            worker.timer.call_repeatedly(settings.lease_s, partial(host_rules.look_in_background, engine))

    return SweepNowAndThen


def _bound_shutdown(shutdown_s: int) -> None:
    """A worker that gets a signal to stop waits for its jobs for ``shutdown_s``; then it gives them back.

    Celery's own "soft shutdown" always sleeps its whole time, even when the last job ended long before.
    """

    def give_up() -> None:
        os.kill(os.getpid(), signal.SIGQUIT)

    @worker_shutting_down.connect(weak=False)
    def _stopping(how: str, **_: object) -> None:
        if how == "Warm":
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


def prove_data_dir(engine: Engine, installation: str, folder: Path) -> None:
    """Checks that the engine sees the data directory under the same path: steps mount their checkout from there."""
    token = secrets.token_hex(16)
    key, made_s = f"{installation}-{PROBE}", int(time.time())
    probe = folder / f"{key}-{made_s}-{token}"
    probe.mkdir(parents=True)
    (probe / "token").write_text(token)
    ensure_sandbox_image(engine)
    spec = ContainerSpec(
        image=SANDBOX_IMAGE, labels=job_labels(key, made_s), network="none", entrypoint=NO_PROGRAM,
        folders=(Folder(folder, "/probe", read_only=True),),
    )  # fmt: skip
    try:
        container = engine.create(spec)
        try:
            seen = engine.read_file(container, f"/probe/{probe.name}/token", len(token))
        finally:
            engine.remove(container)
    finally:
        remove_tree(engine, probe)
    if seen != token.encode():
        hint = "run the worker on the engine's machine, and mount the directory into its container under the same path"
        raise MachineError(Reason.INTERNAL, f"the Docker Engine does not see {folder} as this worker does; {hint}")
