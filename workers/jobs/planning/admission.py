"""Before a run is planned: a worker asks git where its commit is, and holds or refuses what is untrusted."""

from collections.abc import Mapping
from dataclasses import replace

from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Event, Trigger
from runner.errors import MachineError
from runner.source.mirrors.mirror import Mirror
from runner.threads import in_background
from workers import store
from workers.access.trust import Admission, admission, refusal, required_tag, why_untrusted
from workers.db.session import reading, transaction
from workers.jobs.context import ClaimedJob, WorkerContext
from workers.jobs.planning.planning import fetch


def admit(context: WorkerContext, job: ClaimedJob, mirror: Mirror) -> ClaimedJob | None:
    """The job, with what git knows of its commit; None where its run was held or refused. Raises StaleAttemptError.

    A run is judged once, when it is planned, by the branches and tags of that moment. So a commit that was
    force-pushed away since its push, or whose branch was deleted before a re-run, is untrusted.
    """
    planned = job.claim.plan is not None
    if planned and job.on_branch is not None:
        return job
    # What is known to come from a fork is not even fetched before it is approved.
    if not planned and not _may_go_on(context, job, on_branch=True):
        return None
    try:
        trigger, on_branch = locate(mirror, job.trigger, job.repo.default_branch)
    except MachineError:
        # The repository cannot be asked. What git said of this commit at this ref for an earlier run counts.
        with reading(context.database) as session:
            if not store.was_on_branch(session, job.repo_id, job.trigger.ref, job.trigger.sha):
                raise
        trigger, on_branch = fetch(mirror, job.trigger, job.repo.default_branch), True
    _note_move(context, job, mirror)
    with transaction(context.database) as session:
        store.set_trigger(session, job.claim.job_id, job.claim.attempt, trigger, on_branch=on_branch)
    job = replace(job, trigger=trigger, on_branch=on_branch)
    return job if planned or _may_go_on(context, job, on_branch=on_branch) else None


def _note_move(context: WorkerContext, job: ClaimedJob, mirror: Mirror) -> None:
    """Stores where the repository is now, if the forge has said something new about that."""
    if mirror.moved_to is not None and mirror.moved_to != job.run.moved_to:
        with transaction(context.database) as session:
            store.set_moved_to(session, job.repo_id, job.repo.clone_url, mirror.moved_to)


def locate(mirror: Mirror, trigger: Trigger, default_branch: str) -> tuple[Trigger, bool]:
    """Fetches the trigger's commit: the completed trigger, and whether a branch or tag of the repository has it.

    A fork's commit is not looked for: where it is makes no difference. Raises StepError or MachineError.
    """
    if why_untrusted(trigger, on_branch=True):
        return fetch(mirror, trigger, default_branch), False
    tips = in_background(mirror.tips)  # while the commit is fetched: each takes a round trip to the forge
    trigger = fetch(mirror, trigger, default_branch)
    found = tips.result()
    trigger = with_kind_of_ref(trigger, found)
    return trigger, mirror.is_on_branch_or_tag(trigger.sha, found, required_tag(trigger))


def with_kind_of_ref(trigger: Trigger, tips: Mapping[str, str]) -> Trigger:
    """The trigger of a deployment, at a tag if its name is that of one: GitHub sends a bare name.

    A branch of the same name counts, unless the tag alone is at this commit.
    """
    branch, tag = f"refs/heads/{trigger.branch}", f"refs/tags/{trigger.branch}"
    if trigger.event is not Event.DEPLOYMENT or trigger.ref != branch or tag not in tips:
        return trigger
    tagged = {tips[tag], tips.get(f"{tag}^{{}}")}
    if branch in tips and (tips[branch] == trigger.sha or trigger.sha not in tagged):
        return trigger
    return trigger.model_copy(update={"ref": tag, "tag": trigger.branch, "branch": ""})


def _may_go_on(context: WorkerContext, job: ClaimedJob, *, on_branch: bool) -> bool:
    """Whether the run may go on. If not, it is held, or has ended."""
    claim, trigger = job.claim, job.trigger
    with transaction(context.database) as session:
        approved = bool(store.approver(session, job.repo_id, trigger, claim.run_id))
        match admission(trigger, job.run.policy, on_branch=on_branch, approved=approved):
            case Admission.RUN:
                return True
            case Admission.HOLD:
                store.hold_run(session, claim.job_id, claim.attempt)
                return False
            case Admission.REFUSE:
                why = refusal(why_untrusted(trigger, on_branch=on_branch))
                outcome = Outcome(State.FAILED, Reason.UNTRUSTED, why)
                finished = store.fail_planning(session, claim.job_id, claim.attempt, outcome)
    context.notify_all(finished.ready_job_ids)
    return False
