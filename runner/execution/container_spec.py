"""Builds the container of a step or a service: the settings that both take from the pipeline file and from the job."""

from dataclasses import replace

from pipelines.plan import Container
from runner.docker.specs import ContainerSpec
from runner.execution.job import Job


def container_spec(job: Job, container: Container, base: ContainerSpec) -> ContainerSpec:
    """``base``, which has the environment, with the container's settings, the job's workspace and limits added."""
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
