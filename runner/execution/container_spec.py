"""Builds the container of a step or a service: the settings that both take from the pipeline file and from the job."""

from dataclasses import replace

from pipelines.plan import Container
from runner.docker.specs import ContainerSpec
from runner.execution.job import Job


def container_spec(job: Job, container: Container, base: ContainerSpec) -> ContainerSpec:
    """``base``, with the container's settings, and with the job's workspace, limits, secrets and proxies added.

    Variables in ``base`` override those of the pipeline file. Raises StepError for a missing secret.
    """
    return replace(
        base,
        environment=job.environment(container.environment) | dict(base.environment),
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
