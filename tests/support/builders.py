"""Values for tests, with everything that does not matter filled in."""

from sqlalchemy.orm import Session

from pipelines.plan import CommandsStep, Container, JobPlan, NamedImage, Plan
from pipelines.trigger import Event, PullRequest, Trigger
from workers.store.jobs import leases

SHA = "0123456789abcdef0123456789abcdef01234567"


def push(message: str = "Mend the roof", branch: str = "main", sha: str = SHA) -> Trigger:
    """A push of one commit."""
    return Trigger(
        event=Event.PUSH, sha=sha, ref=f"refs/heads/{branch}", branch=branch, message=message, author="Ada Lovelace"
    )


def pull_request(*, from_fork: bool, title: str = "A better roof") -> Trigger:
    """A pull request that was opened."""
    request = PullRequest(number=7, title=title, source_branch="roof", target_branch="main", from_fork=from_fork)
    return Trigger(
        event=Event.PULL_REQUEST, sha=SHA, ref="refs/pull/7/head", branch="main", message="wip", pull_request=request
    )


def commands_step(number: int, name: str = "", needs: tuple[int, ...] = ()) -> CommandsStep:
    """A step that runs ``true``."""
    container = Container(image=NamedImage(name="busybox"))
    return CommandsStep(
        number=number, name=name or f"step-{number}", needs=needs, container=container, commands=("true",)
    )


def job_plan(
    name: str,
    number: int = 1,
    needs: tuple[str, ...] = (),
    steps: int = 2,
    on_failure: bool = False,
    on_success: bool = True,
) -> JobPlan:
    """A job with as many steps as asked for."""
    return JobPlan(
        name=name,
        file=f".headway/{name}.yml",
        number=number,
        needs=needs,
        on_success=on_success,
        on_failure=on_failure,
        steps=tuple(commands_step(each) for each in range(1, steps + 1)),
    )


def plan(*jobs: JobPlan) -> Plan:
    """A plan of these jobs."""
    return Plan(jobs=jobs)


def held_by(session: Session, job_id: int) -> list[leases.HeldLease]:
    """The job's lease, as one that has expired."""
    return [lease for lease in leases.held(session) if lease.job_id == job_id]
