"""Removes what jobs left on this machine when their worker died and nobody went on with them here."""

from pathlib import Path

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.orm import Session

from pipelines.state import State
from runner.engine import JOB_LABEL, Engine
from runner.errors import StepError
from runner.job import ATTEMPT_LABEL, remove_tree
from workers import store
from workers.db import reading

_log = structlog.get_logger()


def job_key(installation: str, job_id: int) -> str:
    """The job's name in labels, folders and networks: unique among all Headways that share an engine."""
    return f"{installation}-{job_id}"


def sweep(database: Database, engine: Engine, installation: str, workspaces: Path) -> None:
    """Removes containers, networks and folders of attempts that no longer run. What cannot be removed is logged."""
    with reading(database) as session:
        containers = [
            each["Id"] for each in engine.containers_labelled(JOB_LABEL) if _left(session, installation, each["Labels"])
        ]
        networks = [
            each["Id"] for each in engine.networks_labelled(JOB_LABEL) if _left(session, installation, each["Labels"])
        ]
        folders = [path for path in workspaces.glob(f"{installation}-*-*") if not _runs(session, *_parts(path.name))]
    for container in containers:
        engine.remove(container)
    for network in networks:
        engine.remove_network(network)
    for folder in folders:
        remove_tree(folder)
    if containers or networks or folders:
        _log.info("swept", containers=len(containers), networks=len(networks), folders=len(folders))


def try_sweep(database: Database, engine: Engine, installation: str, workspaces: Path) -> None:
    """The same, where a failure must not stop a worker from working: the next sweep tries again."""
    try:
        sweep(database, engine, installation, workspaces)
    except StepError as error:
        _log.warning("leftovers could not be removed", error=str(error))


def _left(session: Session, installation: str, labels: dict[str, str]) -> bool:
    """True for what is ours and belongs to no attempt that still runs."""
    owner, _, job_id = labels.get(JOB_LABEL, "").rpartition("-")
    if owner != installation or not job_id.isdigit():
        return False
    return not _runs(session, int(job_id), int(labels.get(ATTEMPT_LABEL, "0")))


def _parts(name: str) -> tuple[int, int]:
    """Job and attempt of a folder's name, ``INSTALLATION-JOB-ATTEMPT``."""
    _, job_id, attempt = name.rsplit("-", 2)
    return int(job_id), int(attempt)


def _runs(session: Session, job_id: int, attempt: int) -> bool:
    job = store.job_by_id(session, job_id)
    return job is not None and job.attempt == attempt and job.state is State.RUNNING
