"""Plans what a service of a Compose file has and another step has not."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipelines import plan
from pipelines.compiler.environment_limits import check_word
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.workspace import HIDES, NEEDED
from pipelines.model.compose import ComposeContainer
from pipelines.model.workflow import ComposeService
from pipelines.plan import JobVolume
from pipelines.step_options.ready import HealthCheck

_OWN_FOLDERS = ("/.headway", "/etc/headway")
"""Where every container sees Headway's own programs and certificates."""
_OF_ENGINE = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
_KERNEL = re.compile(r"/(?:proc|sys|dev|boot)/")
_HINT = "name a folder of its own in the container, such as /var/lib/data"


def with_own(
    job: JobInput, container: plan.Container, step: ComposeService, where: tuple[str | int, ...], label: str
) -> plan.Container:  # fmt: skip
    """The container with its command, its names and the volumes of the job."""
    own = step.compose
    check_word(job, label, max(own.command or (), key=len, default=""), (*where, "compose", "command"))
    for index, path in _hidden(job, own):
        message = f"a volume of {label} cannot be at {path}: it would hide what the container needs"
        job.diagnostics.error(job.place(*where, "compose", "volumes", index), message, _HINT)
    volumes = tuple(JobVolume(**each.model_dump()) for each in own.volumes)
    return container.model_copy(update={"command": own.command, "aliases": own.aliases, "job_volumes": volumes})


def _hidden(job: JobInput, own: ComposeContainer) -> Iterator[tuple[int, str]]:
    """The volumes that would hide what a container needs, or be hidden by it."""
    taken = [PurePosixPath(each) for each in (*_OWN_FOLDERS, job.workspace.base)]
    for index, volume in enumerate(own.volumes):
        path = PurePosixPath(volume.path)
        meets = any(each.is_relative_to(path) or path.is_relative_to(each) for each in taken)
        needed = NEEDED.match(volume.path)
        whole = needed is not None and needed.end() == len(volume.path)
        if meets or whole or volume.path in HIDES or volume.path in _OF_ENGINE or _KERNEL.match(volume.path):
            yield index, volume.path


def health_of(step: ComposeService) -> HealthCheck | None:
    """What the steps after it wait for."""
    return HealthCheck(words=step.compose.health.words) if step.compose.health else None
