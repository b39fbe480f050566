"""From a queued run to its plan: the commit is fetched, its pipeline files are read from the mirror and compiled."""

import platform
import socket
from dataclasses import dataclass
from importlib.metadata import version

from pipelines.compile import compile_pipeline, dockerfile_plan
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.files import choose_files
from pipelines.plan import LeftOut, Plan
from pipelines.state import Reason
from pipelines.trigger import Trigger, skip_ci
from runner.errors import StepError
from runner.source import Mirror
from workers.settings import Settings

PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}


@dataclass(frozen=True)
class RunToPlan:
    """A run as its row has it. ``push_repo`` is where a run without a pipeline file pushes its image, or empty."""

    repo: RepoInfo
    number: int
    created_s: int
    parent_number: int
    push_repo: str


def fetch(mirror: Mirror, trigger: Trigger) -> Trigger:
    """The trigger, its commit fetched and what the forge left out taken from git. Raises StepError or MachineError."""
    sha = mirror.resolve(trigger.sha, trigger.ref)
    mirror.fetch(sha, trigger.ref)
    known = mirror.commit(sha)
    found: dict[str, object] = {"sha": sha}
    if not trigger.message:
        found["message"] = known.message
    if not trigger.author:
        found |= {"author": known.author, "author_email": known.author_email}
    if not trigger.timestamp_s:
        found["timestamp_s"] = known.timestamp_s
    # What git says counts, also where the forge sent a list: forges cut long ones short.
    found["changed_files"] = mirror.changed_files(sha, trigger.previous_sha)
    return trigger.model_copy(update=found)


def make_plan(mirror: Mirror, trigger: Trigger, run: RunToPlan, settings: Settings) -> Plan:
    """The run's plan. Raises InvalidPipelineError, or StepError where the commit has nothing to run."""
    if skip_ci(trigger) and not run.parent_number:
        why = "the commit's message asks for it; a re-run by hand runs all the same"
        return Plan(jobs=(), left_out=(LeftOut(what="the pipeline", why=why),))
    context = _context(run, settings)
    names = mirror.files(trigger.sha)
    chosen = choose_files(names)
    if chosen:
        files = [PipelineFile(name, mirror.read(trigger.sha, name)) for name in chosen]
        return compile_pipeline(files, trigger, context)
    if "Dockerfile" in names:
        return dockerfile_plan(context, trigger)
    hint = "add a .headway.yml (`headway init` writes a first one) or a Dockerfile to its root"
    raise StepError(Reason.NO_PIPELINE, f"the commit has no pipeline file and no Dockerfile; {hint}")


def _context(run: RunToPlan, settings: Settings) -> Context:
    return Context(
        repo=run.repo,
        run_number=run.number,
        run_url=f"{settings.url}/repos/{run.repo.name}/runs/{run.number}",
        parent_number=run.parent_number,
        created_s=run.created_s,
        system_name=settings.system_name,
        system_url=settings.url,
        system_host=socket.gethostname(),
        system_version=version("headway"),
        platform=PLATFORMS.get(platform.machine(), f"linux/{platform.machine()}"),
        push_repo=run.push_repo,
    )
