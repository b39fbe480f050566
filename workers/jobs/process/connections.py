"""What each process of a worker works with: its connections, and the check that the engine sees its data directory."""

import os
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipelines.state import Reason
from runner.builds.buildkit import find_builder
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder
from runner.docker.containers.specs import ContainerSpec, job_labels
from runner.docker.images.sandbox_image import NO_PROGRAM, SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import MachineError
from runner.network.egress import EgressSettings, server_egress
from workers import store
from workers.blobs import open_blobs
from workers.db.session import make_engine, transaction
from workers.jobs.claiming import JobClaimer
from workers.jobs.context import WorkerContext
from workers.jobs.leftovers import PROBE
from workers.jobs.machine.engine_watch import EngineWatch
from workers.jobs.machine.heartbeat import BeatTurn
from workers.jobs.machine.idle_connections import IdleConnections
from workers.jobs.machine.shared_flag import SharedFlag
from workers.jobs.process.drain import LastClaim
from workers.jobs.running_jobs import RunningJobs
from workers.labels import offered_here
from workers.logs import open_logs
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.settings import Settings
from workers.startup import open_keys
from workers.store.processes.installation import NUMBER_MAX
from workers.store.processes.workers import OWNER_MARK
from workers.streaming.redis_stream import LiveTail, connect
from workers.tracing.tracing import Tracing


@dataclass(frozen=True)
class WorkerFlags:
    """What the processes of a worker tell each other."""

    engine_suspected: SharedFlag = field(default_factory=SharedFlag)
    stopping: SharedFlag = field(default_factory=SharedFlag)
    last_claim: LastClaim = field(default_factory=LastClaim)
    beat_turn: BeatTurn = field(default_factory=BeatTurn)


def make_context(settings: Settings, name: str = "", flags: WorkerFlags | None = None) -> WorkerContext:
    """Connects to everything, for a process of the worker ``name``, if any. Call it after a fork, never before."""
    notifier = Notifier(make_celery(settings))
    environment = dict(os.environ)
    database = make_engine(settings.database, sparing=True)
    live = LiveTail(connect(settings.redis_url))

    def close_idle() -> None:
        database.dispose()
        live.close_idle()
        notifier.close_idle()

    with transaction(database) as session:
        installation = store.installation(session, secrets.randbelow(NUMBER_MAX))
    engine = cache(lambda: Engine(settings.docker_host or None))
    return WorkerContext(
        settings=settings,
        egress=_egress(settings),
        running=RunningJobs(settings.running_dir),
        installation=installation,
        database=database,
        logs=open_logs(settings, database),
        blobs=open_blobs(settings),
        live=live,
        vault=open_keys(settings, database),
        notify=notifier.notify,
        engine=engine,
        engine_watch=EngineWatch(
            engine,
            lambda: prove_data_dir(engine(), installation, settings.workspaces_dir),
            flags.engine_suspected if flags else None,
        ),
        builder=cache(lambda: find_builder(environment.get("PATH", os.defpath), environment.get("HOME", "/"))),
        claimer=JobClaimer(
            database=database,
            owner=f"{name}{OWNER_MARK}{os.getpid()}-{secrets.token_hex(4)}",
            labels=offered_here(settings.worker_labels),
            lease_s=settings.lease_s,
            forward=notifier.forward,
            on_claim=flags.last_claim.note if flags else int,
        ),
        connections=IdleConnections(close_idle),
        tracing=Tracing(database, installation, settings.run_url),
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
