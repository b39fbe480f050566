"""What the rows say at one moment, for a stream to compare with what it sent before."""

from dataclasses import dataclass

from pipelines.state import State
from web.operations.log_parts import StepLogAddress, address_of
from web.operations.lookup import jobs_with_steps, run_with_id, step_with_id
from web.pages.versions import front_page_version, run_page_version
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
    address: StepLogAddress = (0, 0, 0, 0)
    log_bytes: int = 0

    @property
    def attempt(self) -> int:
        return self.address[3]


def step_snapshot(services: Services, step_id: int) -> StepSnapshot:
    """Raises NotFoundError."""
    with reading(services.engine) as session:
        place = step_with_id(session, step_id)
        step, run = place.step, place.run
        version = run_page_version(run, jobs_with_steps(session, run.id))
    return StepSnapshot(version, step.state, run.id, address_of(place), step.log_bytes)


def run_snapshot(services: Services, run_id: int) -> Snapshot:
    """Raises NotFoundError."""
    with reading(services.engine) as session:
        run = run_with_id(session, run_id)
        return Snapshot(run_page_version(run, jobs_with_steps(session, run_id)), run.state)


def front_snapshot(services: Services) -> Snapshot:
    with reading(services.engine) as session:
        recent = store.recent_runs(session)
        idle = store.idle_runs(session, [run for run, _ in recent])
        return Snapshot(front_page_version(recent, store.count_repos(session), idle))
