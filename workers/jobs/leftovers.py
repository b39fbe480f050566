"""Removes what jobs left on this machine when their worker died and nobody went on with them here."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from threading import Thread

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pipelines.state import State
from runner.cleanup.borrowed_tags import give_back_all
from runner.cleanup.leftovers import remove_tree
from runner.cleanup.processes import end_orphans
from runner.docker.client import Engine
from runner.docker.references import BUILD_REPO
from runner.docker.specs import ATTEMPT_LABEL, JOB_LABEL
from runner.errors import StepError
from workers import store
from workers.db.session import reading

PROBE = "probe"
PROBE_S_MAX = 60

_log = structlog.get_logger()


def job_key(installation: str, job_id: int) -> str:
    """The job's name in labels, folders and networks: unique among all Headways that share an engine."""
    return f"{installation}-{job_id}"


@dataclass(frozen=True)
class Left:
    """What belongs to attempts that no longer run: ids of containers and networks, names of images, folders."""

    containers: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    folders: frozenset[Path] = frozenset()

    def __bool__(self) -> bool:
        return any(astuple(self))

    def __and__(self, other: "Left") -> "Left":
        """What is in both."""
        return Left(
            self.containers & other.containers, self.names & other.names,
            self.networks & other.networks, self.folders & other.folders,
        )  # fmt: skip


def find(database: Database, engine: Engine, installation: str, workspaces: Path) -> Left:
    """What is left now. A job that has just ended is among it until its own worker has cleaned up."""
    containers = {each["Id"]: _labelled(each) for each in engine.containers_labelled(JOB_LABEL)}
    networks = {each["Id"]: _labelled(each) for each in engine.networks_labelled(JOB_LABEL)}
    tags = {name: name.rpartition(":")[2] for name in engine.image_names(f"{BUILD_REPO}:{installation}-*")}
    folders = {path: path.name for path in workspaces.glob(f"{installation}-*-*")}
    with reading(database) as session:
        dead = partial(_dead, session, installation)
        return Left(
            frozenset(each for each, owner in containers.items() if dead(owner)),
            frozenset(each for each, owner in tags.items() if dead(owner)),
            frozenset(each for each, owner in networks.items() if dead(owner)),
            frozenset(each for each, owner in folders.items() if dead(owner)),
        )


def _labelled(found: dict[str, dict[str, str]]) -> str:
    return f"{found['Labels'][JOB_LABEL]}-{found['Labels'].get(ATTEMPT_LABEL, 0)}"


def _dead(session: Session, installation: str, owner: str) -> bool:
    """True for ``INSTALLATION-JOB-ATTEMPT``, and whatever follows, where it is ours and that attempt does not run.

    With ``probe`` for the job, and seconds since 1970 for the attempt, it is what a worker makes as it starts.
    """
    ours, job_id, attempt, *_ = [*owner.split("-"), "", ""]
    if ours != installation or not attempt.isdigit():
        return False
    if job_id == PROBE:
        return time.time() - int(attempt) > PROBE_S_MAX
    job = store.job_by_id(session, int(job_id)) if job_id.isdigit() else None
    return job is None or job.attempt != int(attempt) or job.state is not State.RUNNING


def remove(engine: Engine, left: Left) -> None:
    """Removes it, networks after what is on them. What cannot be removed is logged, and the rest goes all the same."""
    removals: list[Callable[[], None]] = [partial(end_orphans, folder) for folder in left.folders]
    removals += [partial(give_back_all, engine, folder) for folder in left.folders]
    removals += [partial(engine.remove, container) for container in left.containers]
    removals += [partial(engine.untag, name) for name in left.names]
    removals += [partial(engine.remove_network, network) for network in left.networks]
    removals += [partial(remove_tree, engine, folder) for folder in left.folders]
    for removal in removals:
        try:
            removal()
        except (StepError, OSError) as error:
            _log.warning("a leftover could not be removed", error=str(error))
    if left:
        _log.info("swept", **{name: len(found) for name, found in vars(left).items()})


def try_sweep(database: Database, engine: Engine, installation: str, workspaces: Path) -> None:
    """Finds and removes. Failing must not stop a worker from working: the next sweep tries again."""
    try:
        remove(engine, find(database, engine, installation, workspaces))
    except (StepError, SQLAlchemyError) as error:
        _log.warning("no leftovers could be looked for", error=str(error))


class Rounds:
    """Sweeps now and then, for when no job comes whose end would. Call it from the thread that forks, and only there.

    What is left at two rounds in a row is removed: nobody else, then, is cleaning it up. That may take long, and so a
    thread does it, which touches neither the database nor anything that a forked process would use.
    """

    def __init__(self, connect: Callable[[], Database], engine: Engine, installation: str, workspaces: Path) -> None:
        self._connect = connect
        self._engine = engine
        self._installation = installation
        self._workspaces = workspaces
        self._seen = Left()
        self._removal: Thread | None = None

    def __call__(self) -> None:
        """One round."""
        if self._removal and self._removal.is_alive():
            return
        database = self._connect()
        try:
            found = find(database, self._engine, self._installation, self._workspaces)
        except (StepError, SQLAlchemyError) as error:
            _log.warning("no leftovers could be looked for", error=str(error))
            return
        finally:
            # A process that is forked later must not hold on to the files of a connection of ours.
            database.dispose()
        again, self._seen = found & self._seen, found
        if again:
            self._removal = Thread(target=remove, args=(self._engine, again), name="sweep", daemon=True)
            self._removal.start()
