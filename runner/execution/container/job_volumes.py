"""Volumes of a job: folders beside its checkout that several of its containers mount. They go with the job's folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

from pipelines.plan import JobVolume
from pipelines.state import Reason
from runner.docker.containers.folders import Folder
from runner.errors import StepError
from runner.execution.job.job import Job
from runner.step_files import LinkError, NotAFileError, copy_step_files

FOLDER = "volumes"
_COPY = "copy"


def volume_folders(job: Job, volumes: Sequence[JobVolume]) -> list[Folder]:
    """The folders of a container's volumes that have names, made where they are not there yet.

    Containers see what is in a volume, and never what is around it: no link that a step lays leads to another place.
    Raises StepError where the checkout's part of a volume cannot be copied.
    """
    return [Folder(_content(job, each), each.path, each.read_only) for each in volumes if each.name]


def _content(job: Job, volume: JobVolume) -> Path:
    folder = job.assignment.folder / FOLDER / volume.name
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if not volume.checkout:
        return _empty(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    copied = folder / _COPY
    if not os.path.lexists(copied):
        _copy(job, volume.checkout, copied)
    return copied


def _empty(folder: Path) -> Path:
    try:
        folder.mkdir()
    except FileExistsError:
        return folder
    folder.chmod(0o777)  # for all users, because services run as any user
    return folder


def _copy(job: Job, path: str, copied: Path) -> None:
    """Copies a part of the checkout. It has its name only once it is whole: another process may go on with the job."""
    part = copied.with_name(f"{token_hex(8)}.part")
    source = job.checkout.below([] if path == "." else path.split("/"))
    try:
        copy_step_files(source, part, job.check)
    except FileNotFoundError:
        job.note(f"the checkout has no {path!r}, which a Compose file mounts: the service finds an empty folder there")
        _empty(part)
    except LinkError:
        message = f"{path!r} leads through a link, and is not mounted; name what the link leads to in the Compose file"
        raise StepError(Reason.INVALID_PIPELINE, message) from None
    except (PermissionError, NotAFileError) as error:
        message = f"{path!r} cannot be copied for a Compose service: {error.strerror or error}"
        raise StepError(Reason.INVALID_PIPELINE, message) from None
    try:
        part.rename(copied)
    except OSError:
        if not copied.exists():
            raise
        rmtree(part)  # a service that started at the same time was faster
