"""What the rows say at one moment, for a stream to compare with what it sent before."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from pipelines.state import State
from web.operations.errors import NotFoundError
from web.operations.lookup import jobs_with_steps, run_with_id, step_with_id
from web.operations.runs.log_parts import StepLogAddress, address_of
from web.pages.refresh import front_page_version, run_page_version
from web.security.access import Actor
from web.security.auth import still_valid
from web.services import Services
from workers import store
from workers.db.session import reading


@dataclass(frozen=True)
class Snapshot:
    """The page's version, and the state of the step or the run; None for the front page."""

    version: str
    state: State | None = None

    @property
    def final(self) -> bool:
        return self.state is not None and self.state.final


@dataclass(frozen=True)
class StepSnapshot(Snapshot):
    """Also where the log of the step's last attempt is, and how many bytes it has."""

    run_id: int = 0
    step_id: int = 0
    address: StepLogAddress = (0, 0, 0, 0)
    log_bytes: int = 0

    @property
    def attempt(self) -> int:
        return self.address[3]


def step_snapshot(services: Services, actor: Actor, step_id: int) -> StepSnapshot:
    """Raises NotFoundError, also when the actor does not see the step any more."""
    with reading(services.engine) as session:
        place = step_with_id(session, _checked(session, actor), step_id)
        step, run = place.step, place.run
        version = run_page_version(run, jobs_with_steps(session, run.id))
    return StepSnapshot(version, step.state, run.id, step.id, address_of(place), step.log_bytes)


def run_snapshot(services: Services, actor: Actor, run_id: int) -> Snapshot:
    """Raises NotFoundError, also when the actor does not see the run any more."""
    with reading(services.engine) as session:
        run = run_with_id(session, _checked(session, actor), run_id)
        return Snapshot(run_page_version(run, jobs_with_steps(session, run_id)), run.state)


def front_snapshot(services: Services, actor: Actor) -> Snapshot:
    """Raises NotFoundError when the actor's login has ended."""
    with reading(services.engine) as session:
        viewer = _checked(session, actor).viewer
        recent = store.recent_runs(session, viewer=viewer)
        idle = store.idle_runs(session, [run for run, _ in recent])
        return Snapshot(front_page_version(recent, store.repos_version(session, viewer), idle))


def _checked(session: Session, actor: Actor) -> Actor:
    """The actor, whose login is checked again: a stream must not outlive it. Raises NotFoundError."""
    now = still_valid(session, actor)
    if now is None:
        raise NotFoundError("The login has ended. Log in again.")
    return now
