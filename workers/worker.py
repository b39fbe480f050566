"""The worker process: Celery's pool, and what each of its children needs."""

import os
import secrets
import signal
import socket
import threading
from functools import cache

import structlog
from celery import Celery
from celery.signals import worker_process_init, worker_shutting_down

from pipelines.state import Reason
from runner.build import find_builder
from runner.engine import ContainerSpec, Engine
from runner.errors import MachineError
from runner.sandbox import SANDBOX_IMAGE, ensure_sandbox_image
from workers import queue, store
from workers.db import make_engine, transaction
from workers.live import LiveTail, connect
from workers.logs import open_logs
from workers.settings import Settings
from workers.store.installation import NUMBER_MAX
from workers.sweeper import try_sweep
from workers.tasks import Tools, work
from workers.vault import open_vault

_log = structlog.get_logger()


def make_tools(settings: Settings) -> Tools:
    """Connects to everything. Call it after a fork, never before."""
    bell = queue.Bell(queue.make_celery(settings))
    environment = dict(os.environ)
    database = make_engine(settings.database)
    with transaction(database) as session:
        installation = store.installation(session, secrets.randbelow(NUMBER_MAX))
    return Tools(
        settings=settings,
        installation=installation,
        database=database,
        logs=open_logs(settings),
        live=LiveTail(connect(settings.redis_url)),
        vault=open_vault(settings),
        ring=bell.ring,
        engine=cache(lambda: Engine(settings.docker_host or None)),
        builder=cache(lambda: find_builder(environment.get("PATH", os.defpath), environment.get("HOME", "/"))),
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
    )


def make_worker(settings: Settings) -> Celery:
    """The Celery application with its one task."""
    app = queue.make_celery(settings)
    tools: list[Tools] = []

    @worker_process_init.connect(weak=False)
    def _after_fork(**_: object) -> None:
        tools.append(make_tools(settings))

    @app.task(name=queue.TASK)
    def _work(job_id: int) -> None:
        mine = tools[-1]
        work(mine, job_id)
        try_sweep(mine.database, mine.engine(), mine.installation, settings.workspaces_dir)

    return app


def run_worker(settings: Settings) -> None:
    """Works until it is told to stop. Raises MachineError where the engine, or its view of our data, is not right."""
    _prepare(settings)
    _bound_shutdown(settings.shutdown_s)
    worker = make_worker(settings).Worker(
        pool="prefork",
        concurrency=settings.worker_slots,
        queues=[queue.QUEUE],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()


def _bound_shutdown(shutdown_s: int) -> None:
    """A worker that is told to stop waits for its jobs, but not for ever; then it gives them back.

    Celery's own "soft shutdown" always sleeps its whole time, also when the last job ended long before.
    """

    def give_up() -> None:
        os.kill(os.getpid(), signal.SIGQUIT)

    @worker_shutting_down.connect(weak=False)
    def _stopping(how: str, **_: object) -> None:
        if how == "Warm":
            timer = threading.Timer(shutdown_s, give_up)
            timer.daemon = True
            timer.start()


def _prepare(settings: Settings) -> None:
    """Before the fork: the engine and the disk are as they must be, and what an earlier worker left is gone."""
    engine = Engine(settings.docker_host or None)
    tools = make_tools(settings)
    try:
        prove_data_dir(engine, settings)
        try_sweep(tools.database, engine, tools.installation, settings.workspaces_dir)
    finally:
        tools.database.dispose()
        engine.close()


def prove_data_dir(engine: Engine, settings: Settings) -> None:
    """Shows that the engine sees the data directory under the same path, for steps get their checkout from there."""
    folder = settings.workspaces_dir
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(16)
    probe = folder / f"probe-{token}"
    probe.write_text(token)
    ensure_sandbox_image(engine)
    spec = ContainerSpec(
        image=SANDBOX_IMAGE, labels={}, network="none", entrypoint=("/wait",), binds=(f"{folder}:/probe:ro",)
    )
    container = engine.create(spec)
    try:
        seen = engine.read_file(container, f"/probe/{probe.name}")
    finally:
        engine.remove(container)
        probe.unlink()
    if seen != token.encode():
        hint = "run the worker on the engine's machine, and mount the directory into its container under the same path"
        raise MachineError(Reason.INTERNAL, f"the Docker Engine does not see {folder} as this worker does; {hint}")
