"""Which push steps run, and with which tags: an untrusted run pushes nothing."""

from pipelines.compiler.job_input import JobInput
from pipelines.compiler.selection.step_candidates import StepCandidates
from pipelines.images.auto_tags import AUTO, auto_tags
from pipelines.model.workflow import Push, PushStep
from pipelines.trigger import PULL_REQUEST_EVENTS


def drop_pushes(candidates: StepCandidates) -> None:
    """Leaves out push steps of untrusted runs, and those without a tag for this trigger. Call before ``set_needs``."""
    job = candidates.job
    for candidate in candidates.selected:
        if not isinstance(candidate.step, PushStep):
            continue
        if job.context.untrusted:
            candidate.left_out = f"this run is untrusted and pushes nothing: {job.context.untrusted}"
        elif not _may_have_tags(job, candidate.step.push):
            candidate.left_out = "there is no tag for this trigger (auto tags the default branch and git tags)"
    for number, candidate in enumerate(candidates.selected, start=1):
        candidate.number = number


def _may_have_tags(job: JobInput, push: Push) -> bool:
    return bool(push.tags_file or push_tags(job, push))


def push_tags(job: JobInput, push: Push) -> tuple[str, ...]:
    """The tags of a push step, each once, with ``auto`` resolved. A ``tags_file`` replaces the default tags."""
    found: list[str] = []
    for tag in () if push.tags_file and "tags" not in push.model_fields_set else push.tags:
        if tag != AUTO:
            found.append(tag)
        elif job.trigger.event not in PULL_REQUEST_EVENTS:
            found += auto_tags(job.trigger, job.context.repo.default_branch)
    return tuple(dict.fromkeys(found))
