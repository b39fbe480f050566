"""Volumes of a job: folders beside its checkout that several of its containers mount. They go with the job's folder."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.plan import JobVolume
from runner.docker.folders import Folder
from runner.execution.job.job import Job

FOLDER = "volumes"


def volume_folders(job: Job, volumes: Sequence[JobVolume]) -> list[Folder]:
    """The folders of a container's volumes, made where they are not there yet.

    Containers see what is in a volume, and never what is around it: no link that a step lays leads to another place.
    """
    return [Folder(_folder(job, each), each.path, each.read_only) for each in volumes]


def _folder(job: Job, volume: JobVolume) -> Path:
    folder = job.assignment.folder / FOLDER / volume.name
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        return folder
    folder.chmod(0o777)  # for all users, because services run as any user
    return folder
