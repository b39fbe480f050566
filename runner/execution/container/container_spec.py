"""Builds the container of a step or a service: the settings that both take from the pipeline file and from the job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipelines.environment.environment_size import WORD_BYTES_MAX, byte_count, is_word, too_large
from pipelines.plan import Container
from pipelines.state import Reason
from runner.docker.containers.specs import ContainerSpec
from runner.docker.init_program import GATE_ENTRYPOINT, RUN_ENTRYPOINT, measured
from runner.errors import StepError
from runner.execution.container.job_volumes import volume_folders
from runner.execution.job.job import Job


def container_spec(job: Job, container: Container, base: ContainerSpec, measure_token: str = "") -> ContainerSpec:
    """``base``, which has an image's id and the environment, with the container's settings, workspace and limits added.

    A container with standard input is one with a gate; another one reports what it used with ``measure_token``, if
    given. Raises StepError if there is nothing to run, or for variables or
    commands that are too large, with those that the image brings along.
    """
    variables = {**job.images.environment_of(base.image), **base.environment}
    run = measured(measure_token) if measure_token else RUN_ENTRYPOINT
    entrypoint = GATE_ENTRYPOINT if base.stdin else (*run, *_program(job, base, container.command))
    _check_sizes(variables, entrypoint)
    return replace(
        base,
        entrypoint=entrypoint,
        engine_init=False,
        folders=(*job.folders, *volume_folders(job, container.job_volumes)),
        volumes=tuple(each.path for each in container.job_volumes if not each.name),
        binds=container.volumes,
        user=container.user,
        privileged=container.privileged,
        devices=container.devices,
        tmpfs=container.tmpfs,
        dns=container.dns,
        dns_search=container.dns_search,
        extra_hosts=container.extra_hosts,
        limits=job.limits.of(container),
    )


def _program(job: Job, base: ContainerSpec, command: tuple[str, ...] | None) -> tuple[str, ...]:
    """What runs in a container, by the engine's rules: its entrypoint, or else the image's own with its command.

    A ``command`` stands in place of the image's.
    """
    if base.entrypoint:
        return (*base.entrypoint, *(command or ()))
    config = job.images.config_of(base.image)
    own = config.get("Entrypoint") or () if base.entrypoint is None else ()
    if not (program := (*own, *((config.get("Cmd") or ()) if command is None else command))):
        hint = "write `commands`, or `entrypoint`, or use an image whose Dockerfile has an ENTRYPOINT or CMD"
        raise StepError(
            Reason.BAD_COMMAND, f"nothing to run: the image has neither an entrypoint nor a command; {hint}"
        )
    return program


def _check_sizes(environment: Mapping[str, str], command: Sequence[str]) -> None:
    """The compiler reports what it knows with its place; here secrets are filled in."""
    if wrong := next(iter(too_large({name: byte_count(value) for name, value in environment.items()})), None):
        raise StepError(Reason.INVALID_PIPELINE, f"{wrong.message}; {wrong.hint}")
    if not all(map(is_word, command)):
        what = f"the commands have more than {WORD_BYTES_MAX:,} bytes, which a program gets at most"
        raise StepError(Reason.INVALID_PIPELINE, f"{what}; put them into a file of the repository, and run that")
