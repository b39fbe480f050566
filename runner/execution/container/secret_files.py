"""Secrets of a step as files: folders in memory (tmpfs), into which the container's first process writes them.

Their content reaches that process on its standard input, as scripts do, and the step's user owns them. So it is in no
request that the engine keeps, in no layer, and in no folder of this machine. What has not arrived whole starts no
program (runner/docker/init/init.c).
"""

from dataclasses import replace

from pipelines.plan import CommandsStep, PluginStep, SecretRef
from pipelines.state import Reason
from pipelines.step_options.secret_files import FILES_BYTES_MAX, FOLDER_BYTES_MAX
from runner.docker.containers.specs import ContainerSpec
from runner.docker.init_program import with_files
from runner.errors import StepError
from runner.execution.job.job import Job

_OPTIONS = f"rw,noexec,nosuid,nodev,mode=1777,size={FOLDER_BYTES_MAX}"


def with_secret_files(step: CommandsStep | PluginStep, spec: ContainerSpec) -> ContainerSpec:
    """The spec of a container that first takes the step's files from standard input; the same where it has none."""
    if not step.secret_files or spec.entrypoint is None:
        return spec
    folders = dict.fromkeys(each.folder for each in step.secret_files)
    tmpfs = (*spec.tmpfs, *(f"{folder}:{_OPTIONS}" for folder in folders))
    return replace(spec, entrypoint=with_files(spec.entrypoint), stdin=True, tmpfs=tmpfs)


def secret_files_input(job: Job, step: CommandsStep | PluginStep) -> bytes:
    """What the first process reads first. Raises StepError for secrets that are missing, or too large together."""
    if not step.secret_files:
        return b""
    job.require(*((SecretRef(secret=each.secret),) for each in step.secret_files))
    files = [(each, job.assignment.secrets[each.secret].encode(errors="surrogateescape")) for each in step.secret_files]
    if (total := sum(len(content) for _, content in files)) > FILES_BYTES_MAX:
        what = f"the files of its secrets have {total:,} bytes together; the limit is {FILES_BYTES_MAX:,}"
        raise StepError(Reason.SECRETS_TOO_LARGE, f"{what}; keep large files elsewhere, and only the key in a secret")
    entries = (f"{len(data)} {each.mode:o} {each.path}\n".encode() + data for each, data in files)
    return b"".join((*entries, b"\n"))
