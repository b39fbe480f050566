"""From a queued run to its plan: the commit is fetched, its pipeline files are read from the mirror and compiled."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.parser.discovery import choose_files, other_systems_hint
from pipelines.parser.excerpts import with_excerpts
from pipelines.plan import LeftOut, Plan
from pipelines.problem import InvalidPipelineError
from pipelines.state import Reason
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger, skip_ci
from runner.errors import StepError
from runner.source.mirror import Mirror
from workers.labels import this_platform
from workers.settings import Settings


@dataclass(frozen=True)
class RunToPlan:
    """A run as its row has it. ``push_repo`` is where a run without a pipeline file pushes its image, or empty."""

    repo: RepoInfo
    number: int
    created_s: int
    parent_number: int
    push_repo: str


def fetch(mirror: Mirror, trigger: Trigger, default_branch: str) -> Trigger:
    """The trigger, its commit fetched and what the forge left out taken from git. Raises StepError or MachineError."""
    sha = mirror.resolve(trigger.sha, trigger.ref)
    mirror.fetch(sha, trigger.ref, trigger.previous_sha if trigger.event is Event.PUSH else "")
    known = mirror.commit(sha)
    found: dict[str, object] = {"sha": sha}
    if not trigger.message:
        found["message"] = known.message
    if not trigger.author:
        found |= {"author": known.author, "author_email": known.author_email}
    if not trigger.timestamp_s:
        found["timestamp_s"] = known.timestamp_s
    found["changed_files"] = _changed_files(mirror, trigger.model_copy(update={"sha": sha}), default_branch)
    return trigger.model_copy(update=found)


def _changed_files(mirror: Mirror, trigger: Trigger, default_branch: str) -> tuple[str, ...]:
    """What a push brought since the last one, and a pull request since it left its target; nothing for other events.

    What git says counts, not what the forge may have sent: forges cut long lists short.
    """
    sha, pull = trigger.sha, trigger.pull_request
    if trigger.event in PULL_REQUEST_EVENTS and pull is not None:
        # After a merge the target has it all; what it was before only some forges say.
        targets = filter(None, (pull.target_sha, f"refs/heads/{pull.target_branch}"))
        bases = (mirror.merge_base(sha, target) for target in targets)
        return mirror.changed_files(sha, next((base for base in bases if base not in {"", sha}), ""))
    if trigger.event is not Event.PUSH:
        return ()
    if trigger.previous_sha or trigger.branch == default_branch:
        return mirror.changed_files(sha, trigger.previous_sha)
    # A new branch brings all that the default branch does not have.
    base = mirror.merge_base(sha, f"refs/heads/{default_branch}")
    return mirror.changed_files(sha, "" if base == sha else base)


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
        return _with_excerpts(files, lambda: compile_pipeline(files, trigger, context))
    if "Dockerfile" in names:
        return dockerfile_plan(context, trigger)
    hint = "add a .headway.yml (`headway init` writes a first one) or a Dockerfile to its root"
    raise StepError(
        Reason.NO_PIPELINE, f"the commit has no pipeline file and no Dockerfile; {hint}{other_systems_hint(names)}"
    )


def _with_excerpts(files: Sequence[PipelineFile], compiled: Callable[[], Plan]) -> Plan:
    """What is wrong, or might be, with the lines that it is about: pages know no files."""
    texts = {file.path: file.text for file in files}
    try:
        plan = compiled()
    except InvalidPipelineError as error:
        raise InvalidPipelineError(with_excerpts(error.problems, texts)) from None
    return plan.model_copy(update={"warnings": with_excerpts(plan.warnings, texts)})


def _context(run: RunToPlan, settings: Settings) -> Context:
    return Context(
        repo=run.repo,
        run_number=run.number,
        run_url=settings.run_url(run.repo.name, run.number),
        parent_number=run.parent_number,
        created_s=run.created_s,
        system_name=settings.system_name,
        system_url=settings.url,
        system_host=socket.gethostname(),
        system_version=version("headway"),
        platform=this_platform(),
        push_repo=run.push_repo,
    )
