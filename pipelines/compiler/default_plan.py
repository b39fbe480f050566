"""The plan of a repository without pipeline files: build its Dockerfile, and push it if the settings say so."""

from pipelines import plan
from pipelines.compiler.inputs import refuse_inputs
from pipelines.context import Context
from pipelines.images.auto_tags import auto_tags
from pipelines.images.image_names import is_repo
from pipelines.plan import JobPlan, LeftOut, Plan
from pipelines.problem import InvalidPipelineError, Problem
from pipelines.trigger import PULL_REQUEST_EVENTS, Trigger


def dockerfile_plan(context: Context, trigger: Trigger | None = None) -> Plan:
    """Builds the Dockerfile, and pushes the image to the ``push_repo`` of the context.

    The tags are those of ``auto`` for the trigger; without a trigger, for the default branch. Raises
    InvalidPipelineError when the repository to push to is not a name that a registry takes.
    """
    if trigger is not None:
        refuse_inputs(trigger)
    build = plan.BuildStep(number=1, name="build", dockerfile="Dockerfile")
    steps: list[plan.Step] = [build]
    left_out: list[LeftOut] = []
    tags = _dockerfile_tags(context, trigger)
    if not context.push_repo:
        left_out.append(LeftOut(what="step 'push'", why="the repository's settings name no place to push to"))
    elif not is_repo(context.push_repo):
        message = f"'{context.push_repo}', where this repository pushes to, is not a repository's name"
        raise InvalidPipelineError([Problem("Dockerfile", 1, 1, message, "change it in the repository's settings")])
    elif context.untrusted:
        left_out.append(
            LeftOut(what="step 'push'", why=f"this run is untrusted and pushes nothing: {context.untrusted}")
        )
    elif not tags:
        left_out.append(LeftOut(what="step 'push'", why="only the default branch and git tags are pushed"))
    else:
        steps.append(plan.PushStep(number=2, name="push", needs=(1,), image=1, repos=(context.push_repo,), tags=tags))
    job = JobPlan(name="Dockerfile", file="Dockerfile", number=1, steps=tuple(steps))
    return Plan(jobs=(job,), left_out=tuple(left_out))


def _dockerfile_tags(context: Context, trigger: Trigger | None) -> tuple[str, ...]:
    if trigger is None:
        return ("latest",)
    return () if trigger.event in PULL_REQUEST_EVENTS else auto_tags(trigger, context.repo.default_branch)
