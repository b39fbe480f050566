"""The limits of each container of a job: what the pipeline file asks for, within what the machine has."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from pipelines.plan import BuildStep, Container, JobPlan, PushStep
from pipelines.state import Reason
from pipelines.step_options.resources import ResourcesMax, excesses
from runner.docker.client import Engine
from runner.docker.containers.specs import Limits
from runner.errors import StepError


class JobLimits:
    """The limits of the containers of one job. ``most`` are those of a container whose file says nothing."""

    def __init__(self, engine: Engine, most: Limits) -> None:
        self._engine = engine
        self.most = most

    @cached_property
    def are_counted(self) -> bool:
        """False where containers have no control group of their own, as on a rootless engine without delegation.

        What the kernel counts there is that of other processes as well.
        """
        engine = self._engine
        return not engine.connection.version.rootless or bool(engine.info().get("MemoryLimit"))

    @cached_property
    def _processors(self) -> int:
        return int(self._engine.info().get("NCPU") or 0)

    def of(self, container: Container) -> Limits:
        """The limits of this container. The engine starts none with more processors than it has."""
        asked = container.resources
        if asked is None:
            return self.most
        cpus = self.most.cpus if asked.cpus is None else min(asked.cpus, self._processors or asked.cpus)
        memory_bytes, pids = asked.memory_bytes or self.most.memory_bytes, asked.pids or self.most.pids
        return replace(self.most, memory_bytes=memory_bytes, cpus=cpus, pids=pids)


def maximum(limits: Limits) -> ResourcesMax:
    """What a container may ask for where these are a server's limits."""
    return ResourcesMax(limits.memory_bytes, limits.cpus, limits.pids)


def check_resources(plan: JobPlan, limits: Limits) -> None:
    """Raises StepError if a step or service asks for more than this worker gives.

    The compiler reports the same with its place, by the settings of the worker that plans the run.
    """
    for label, container in _containers(plan):
        for excess in excesses(container.resources, maximum(limits)) if container.resources else ():
            raise StepError(Reason.INVALID_PIPELINE, f"{excess.message} in {label}; {excess.hint}")


def _containers(plan: JobPlan) -> Iterator[tuple[str, Container]]:
    yield from ((f"service '{service.name}'", service.container) for service in plan.services)
    for step in plan.steps:
        if not isinstance(step, BuildStep | PushStep):
            yield f"step '{step.name}'", step.container
