"""The names of containers in a job's network."""

from pipelines.plan import CommandsStep, JobPlan, PluginStep


def host_names(plan: JobPlan) -> tuple[str, ...]:
    """The names under which the job's containers reach each other: its services and detached steps."""
    beside = (step for step in plan.steps if isinstance(step, CommandsStep | PluginStep) and step.detach)
    detached = (name for step in beside for name in step.container.aliases or (step.name,))
    return (*(service.name for service in plan.services), *detached)
