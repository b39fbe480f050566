"""Finds and removes the leftovers of dead attempts on this machine: their worker died, and no worker took over here."""

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.orm import Session

from pipelines.images.own_images import BUILD_REPO
from pipelines.state import State
from runner.cleanup.leftovers import Leftovers, remove_leftovers, whole_number
from runner.docker.client import Engine
from runner.docker.containers.specs import ATTEMPT_LABEL, JOB_LABEL
from workers import store
from workers.db.models import Job
from workers.db.session import reading

PROBE = "probe"
PROBE_S_MAX = 60
_KEY = re.compile("[0-9a-f]{16}")

_log = structlog.get_logger()


def job_key(installation: str, key: str) -> str:
    """The job's name in labels, folders and networks, from its random key.

    Unique among all Headway installations that share an engine, and among all copies of a database.
    """
    return f"{installation}-{key}"


def find_dead_attempts(database: Database, engine: Engine, installation: str, workspaces: Path) -> Leftovers:
    """Leftovers of attempts that do not run any more. May include a job that its own worker is still cleaning up."""
    containers = {each["Id"]: _labelled(each) for each in engine.containers_labelled(JOB_LABEL)}
    networks = {each["Id"]: _labelled(each) for each in engine.networks_labelled(JOB_LABEL)}
    image_names = {name: name.rpartition(":")[2] for name in engine.image_names(f"{BUILD_REPO}:{installation}-*")}
    folders = {path: path.name for path in workspaces.glob(f"{installation}-*-*")}
    with reading(database) as session:
        is_dead = partial(_is_dead, session, installation)
        return Leftovers(
            frozenset(each for each, attempt in containers.items() if is_dead(attempt)),
            frozenset(each for each, attempt in image_names.items() if is_dead(attempt)),
            frozenset(each for each, attempt in networks.items() if is_dead(attempt)),
            frozenset(each for each, attempt in folders.items() if is_dead(attempt)),
        )


def _labelled(found: dict[str, dict[str, str]]) -> str:
    return f"{found['Labels'][JOB_LABEL]}-{found['Labels'].get(ATTEMPT_LABEL, 0)}"


def _is_dead(session: Session, installation: str, name: str) -> bool:
    """True if ``name`` starts with ``INSTALLATION-JOB-ATTEMPT`` of this installation and that attempt does not run.

    A worker's check at its start has ``probe`` in place of the job, and seconds since 1970 in place of the attempt.
    """
    owner, job, attempt_text, *_ = [*name.split("-"), "", ""]
    attempt = whole_number(attempt_text)
    if owner != installation or attempt is None:
        return False
    if job == PROBE:
        return time.time() - attempt > PROBE_S_MAX
    if not _KEY.fullmatch(job) and whole_number(job) is None:
        return False
    found = _job_named(session, job)
    return found is None or found.origin != attempt or found.state is not State.RUNNING


def _job_named(session: Session, name: str) -> Job | None:
    """The job with this key. A worker of a version without keys names a job by its number, during an upgrade."""
    found = store.job_by_key(session, name)
    if found is None and (job_id := whole_number(name)) is not None:
        by_number = store.job_by_id(session, job_id)
        found = by_number if by_number is not None and not by_number.key else None
    return found


def remove(engine: Engine, leftovers: Leftovers, reported: set[str] | None = None) -> None:
    """Removes the leftovers. Logs what cannot be removed, except what is in ``reported``, which it adds to."""
    reported = set() if reported is None else reported
    errors = remove_leftovers(engine, leftovers)
    for message in dict.fromkeys(map(str, errors)):
        if message not in reported:
            reported.add(message)
            _log.warning("a leftover could not be removed; it is tried again without another report", error=message)
    if leftovers and not errors:
        _log.info("removed leftovers", **{name: len(found) for name, found in vars(leftovers).items()})


def remove_dead_attempts(database: Database, engine: Engine, installation: str, workspaces: Path) -> None:
    """Finds and removes leftovers. An error is only logged, because the worker must go on; the next sweep retries."""
    try:
        remove(engine, find_dead_attempts(database, engine, installation, workspaces))
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker takes jobs
        _log.warning("leftovers could not be searched for", error=str(error))


class PeriodicSweep:
    """Removes leftovers at intervals, for a worker without jobs. Call it only from the thread that forks.

    It removes only what two sweeps in a row have found: then no worker is cleaning it up. The removal may take long, so
    a thread does it, which uses neither the database nor anything else that a forked process would inherit.
    """

    def __init__(self, connect: Callable[[], Database], engine: Engine, installation: str, workspaces: Path) -> None:
        self._connect = connect
        self._engine = engine
        self._installation = installation
        self._workspaces = workspaces
        self._seen = Leftovers()
        self._reported: set[str] = set()
        self._removal: Thread | None = None

    def __call__(self) -> None:
        """One sweep."""
        if self._removal and self._removal.is_alive():
            return
        try:
            database = self._connect()
            try:
                found = find_dead_attempts(database, self._engine, self._installation, self._workspaces)
            finally:
                # A process that is forked later must not inherit the connection's file descriptors.
                database.dispose()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on, and the next sweep tries again
            _log.warning("leftovers could not be searched for", error=str(error))
            return
        again, self._seen = found & self._seen, found
        if again:
            self._removal = Thread(target=remove, args=(self._engine, again, self._reported), name="sweep", daemon=True)
            self._removal.start()
