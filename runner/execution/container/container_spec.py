"""Builds the container of a step or a service: the settings that both take from the pipeline file and from the job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipelines.environment_size import WORD_BYTES_MAX, byte_count, is_word, too_large
from pipelines.plan import Container
from pipelines.state import Reason
from runner.docker.specs import ContainerSpec
from runner.errors import StepError
from runner.execution.job import Job


def container_spec(job: Job, container: Container, base: ContainerSpec) -> ContainerSpec:
    """``base``, which has an image's id and the environment, with the container's settings, workspace and limits added.

    Raises StepError for variables or commands that are too large, with those that the image brings along.
    """
    variables = {**job.images.environment_of(base.image), **base.environment}
    _check_sizes(variables, (*(base.entrypoint or ()), *(base.command or ())))
    return replace(
        base,
        folders=(job.workspace_folder, *job.egress.folders),
        binds=container.volumes,
        user=container.user,
        privileged=container.privileged,
        devices=container.devices,
        tmpfs=container.tmpfs,
        dns=container.dns,
        dns_search=container.dns_search,
        extra_hosts=container.extra_hosts,
        limits=job.options.limits,
    )


def _check_sizes(environment: Mapping[str, str], command: Sequence[str]) -> None:
    """The compiler reports what it knows with its place; here secrets are filled in."""
    if wrong := next(iter(too_large({name: byte_count(value) for name, value in environment.items()})), None):
        raise StepError(Reason.INVALID_PIPELINE, f"{wrong.message}; {wrong.hint}")
    if not all(map(is_word, command)):
        what = f"the commands have more than {WORD_BYTES_MAX:,} bytes, which a program gets at most"
        raise StepError(Reason.INVALID_PIPELINE, f"{what}; put them into a file of the repository, and run that")
