"""From a queued run to its plan: fetches the commit, reads its pipeline files from the mirror, compiles them.

The first job of a run is claimed without a plan. Its worker plans the whole run, writes the jobs of the plan as rows,
and goes on with one of them.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from pipelines.compiler.default_plan import dockerfile_plan
from pipelines.context import Context, PipelineFile, forge_url_of
from pipelines.importers.running import compile_own_files
from pipelines.parser.discovery import choose_files, other_systems_hint
from pipelines.parser.excerpts import with_excerpts
from pipelines.parser.file_limits import too_many_files
from pipelines.plan import JobPlan, LeftOut, Plan
from pipelines.problem import InvalidPipelineError, Level, Problem
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, Trigger, skip_ci
from runner.errors import StepError
from runner.execution.resources.limits import maximum
from runner.source.fragments import read_fragments
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from runner.source.other_repositories import OtherRepositories
from workers import store
from workers.access.trust import PipelineFrom
from workers.db.session import transaction
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.jobs.mirror_maintenance import open_others
from workers.jobs.planning.changed_files import changed_files, too_many_changed
from workers.jobs.planning.job_options import options
from workers.labels import fits, this_platform, wanted
from workers.settings import Settings
from workers.store.jobs import leases


def plan_claimed_run(context: WorkerContext, job: ClaimedJob, mirror: Mirror) -> JobPlan | None:
    """Plans the run of a claimed job. Returns the plan of the job that this worker goes on with.

    None where it has nothing to do: the run could not be planned, or all its jobs wait, are for other workers, or are
    left out. Raises StaleAttemptError.
    """
    claim = job.claim
    try:
        plan = make_plan(mirror, job, context.settings, open_others(context.settings, context.egress, job))
    except InvalidPipelineError as error:
        errors = [problem for problem in error.problems if problem.level is Level.ERROR]
        more = f"{len(errors)} errors, the first" if len(errors) > 1 else "an error"
        sentence = f"the pipeline has {more}: {errors[0]}"
        outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, sentence)
        _fail(context, claim, outcome, error.problems)
        return None
    except TransientGitError:
        raise
    except StepError as error:
        _fail(context, claim, error.outcome)
        return None

    def fits_here(planned: JobPlan) -> bool:
        return fits(wanted(planned.labels, job.repo.name), context.claimer.labels)

    with transaction(context.database) as session:
        scope = job.allowed.group_scope
        planned = store.plan_run(session, claim.job_id, claim.attempt, plan, fits_here, scope)
        if job.allowed.secrets:  # an untrusted run must not change the form
            store.put_branch_inputs(session, job.repo_id, job.trigger, plan.inputs)
    context.live.changed(claim.run_id)
    for run_id in planned.superseded:
        context.live.publish_cancel(run_id)
        context.live.changed(run_id)
    context.notify_all(planned.ready_job_ids)
    return planned.mine


def _fail(
    context: WorkerContext, claim: leases.Claim, outcome: Outcome, problems: Sequence[Problem] = ()
) -> None:  # fmt: skip
    with transaction(context.database) as session:
        finished = store.fail_planning(session, claim.job_id, claim.attempt, outcome, problems)
    context.notify_all(finished.ready_job_ids)


def fetch(mirror: Mirror, trigger: Trigger, default_branch: str) -> Trigger:
    """Fetches the trigger's commit. Returns the trigger, completed with what git knows and the forge did not send.

    Raises StepError or MachineError.
    """
    sha = mirror.resolve(trigger.sha, trigger.ref)
    mirror.fetch(sha, trigger.ref, trigger.previous_sha if trigger.event is Event.PUSH else "")
    if trigger.ref.startswith("refs/tags/"):
        sha = mirror.peeled(sha)  # some send the id of the tag's own object
    known = mirror.commit(sha)
    found: dict[str, object] = {"sha": sha}
    if not trigger.message:
        found["message"] = known.message
    if not trigger.author:
        found |= {"author": known.author, "author_email": known.author_email}
    if not trigger.timestamp_s:
        found["timestamp_s"] = known.timestamp_s
    changed = changed_files(mirror, trigger.model_copy(update={"sha": sha}), default_branch)
    found |= {"changed_files": changed or (), "too_many_changed": changed is None}
    return trigger.model_copy(update=found)


def make_plan(mirror: Mirror, job: ClaimedJob, settings: Settings, others: OtherRepositories) -> Plan:
    """The run's plan. Raises InvalidPipelineError, or StepError where the commit has nothing to run.

    ``others`` are the repositories that fragments may come from.
    """
    trigger, run = job.trigger, job.run
    if skip_ci(trigger) and not run.parent_number:
        why = "the commit's message asks for it; a re-run by hand runs all the same"
        return Plan(jobs=(), left_out=(LeftOut(what="the pipeline", why=why),))
    context = _context(job, settings)
    sha, remarks = _pipeline_commit(mirror, job)
    if trigger.too_many_changed:
        remarks = (*remarks, too_many_changed())
    names = mirror.files(sha)
    chosen = choose_files(names)
    if problem := too_many_files(chosen):
        raise InvalidPipelineError([problem])
    if chosen:
        files = [PipelineFile(name, mirror.read(sha, name)) for name in chosen]
        fragments = read_fragments(files, lambda path: mirror.read(sha, path), others)
        texts = {at.name: each.text for at, each in fragments.items()} | {file.path: file.text for file in files}
        plan = _with_excerpts(texts, lambda: compile_own_files(files, trigger, context, fragments))
        return plan.model_copy(update={"left_out": (*remarks, *plan.left_out)})
    if "Dockerfile" in names:
        return dockerfile_plan(context, trigger)
    hint = "add a .headway.yml (`headway init` writes a first one) or a Dockerfile to its root"
    raise StepError(
        Reason.NO_PIPELINE, f"the commit has no pipeline file and no Dockerfile; {hint}{other_systems_hint(names)}"
    )


def _with_excerpts(texts: Mapping[str, bytes], compiled: Callable[[], Plan]) -> Plan:
    """Adds to each problem the lines of the file that it is about: the pages that show it have no files."""
    try:
        plan = compiled()
    except InvalidPipelineError as error:
        raise InvalidPipelineError(with_excerpts(error.problems, texts)) from None
    return plan.model_copy(update={"warnings": with_excerpts(plan.warnings, texts)})


def _pipeline_commit(mirror: Mirror, job: ClaimedJob) -> tuple[str, tuple[LeftOut, ...]]:
    """The commit whose pipeline files count, and a remark where it is not the run's own."""
    trigger = job.trigger
    if job.run.pipeline_from is PipelineFrom.COMMIT or not job.allowed.access.untrusted:
        return trigger.sha, ()
    branch = trigger.pull_request.target_branch if trigger.pull_request else job.repo.default_branch
    ref = f"refs/heads/{branch}"
    sha = mirror.resolve("", ref)
    mirror.fetch(sha, ref)
    why = f"untrusted runs have the pipeline file of {branch} (commit {sha[:10]}) in this repository"
    return sha, (LeftOut(what="the commit's own pipeline file", why=why),)


def _context(job: ClaimedJob, settings: Settings) -> Context:
    run, access = job.run, job.allowed.access
    return Context(
        repo=run.repo._replace(
            trust=access.host, forge_url=forge_url_of(run.repo.web_url or run.repo.clone_url, run.repo.name)
        ),
        untrusted=access.untrusted,
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
        previous=run.previous,
        resources_max=maximum(options(settings).limits),
    )
