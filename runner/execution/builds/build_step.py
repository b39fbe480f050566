"""A build step: BuildKit builds the Dockerfile, and the job keeps the image's id for the steps that use it."""

import secrets
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.images import cache_export, platforms
from pipelines.images.own_images import BUILD_REPO
from pipelines.plan import BuildStep, SecretRef
from pipelines.state import PASSED, Outcome, Reason
from runner.builds import buildkit
from runner.builds.command import BuildRequest, check_values
from runner.builds.progress import Instruction
from runner.cleanup.image_removal import wait_for_removals
from runner.docker.compatibility import CONTAINERD_STORE
from runner.errors import MachineError, StepError
from runner.events import ImageBuilt, InstructionChanged, Stream
from runner.execution.builds.base_images import separated
from runner.execution.host_access import check_dockerfile, own_caches_only
from runner.execution.job.deadline import Deadline
from runner.execution.job.job import Job
from runner.images.retry import RegistryRetries
from runner.logs.output import Lines, Output

BUILD_TRIES_MAX = 3


def build(job: Job, step: BuildStep, output: Output) -> Outcome:
    """Builds the image. Raises StepError when the build fails."""
    check_values(step)
    step = _with_caches(job, _for_platforms(job, step, output), output)
    job.require(*((SecretRef(secret=name),) for name in step.secrets.values()))
    # No other job can name it: BuildKit would give an image of the engine to any build that does.
    tag = f"{BUILD_REPO}:{job.assignment.key}-{job.assignment.attempt}-{step.number}-{secrets.token_hex(16)}"
    scratch = _new_folder(job.scratch / f"build-{step.number}")
    engine = job.engine.connection.transport.variables()
    request = BuildRequest(
        step,
        job.workspace_base,
        job.source,
        scratch,
        job.docker_config(),
        engine,
        job.assignment.secrets,
        tag,
        job.egress,
        partial(check_dockerfile, access=job.assignment.access, engine=job.engine),
    )

    def emit_instruction(instruction: Instruction) -> None:
        text, error = instruction.text, instruction.error
        job.emit(
            InstructionChanged(step.number, instruction.index, text, instruction.cached, instruction.seconds, error)
        )

    limit = job.time_for(step)
    job.untag_at_end(tag)
    lines = Lines(output, Stream.STDOUT)
    request = separated(job, request, lines)
    watch = buildkit.Watch(lines, emit_instruction, job.cancel, limit.deadline, job.options.disk_problem)
    retries = RegistryRetries(job.options.registry_retry_s, lines, partial(job.check_time, limit))
    try:
        image = retries.call(partial(_image_of, job, request, watch, limit, output))
    except StepError as error:
        if error.reason is Reason.BUILD_FAILED:
            job.engine.ping()  # raises MachineError if the client failed because the engine went away
        raise
    image_id, size_bytes = str(image["Id"]), int(image.get("Size", 0))
    job.built[step.number] = image_id
    job.journal.built(step.number, image_id)
    job.give_names(step, step.names, image_id)
    output.note(f"built {image_id} ({size_bytes / 1e6:,.1f} MB)")
    job.emit(ImageBuilt(step.number, image_id, size_bytes))
    return PASSED


def _new_folder(path: Path) -> Path:
    """The folder, empty: an earlier attempt of the step may have left it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def _with_caches(job: Job, step: BuildStep, output: Output) -> BuildStep:
    """The step with the caches that it may write. Raises StepError for those that the engine cannot write."""
    step = own_caches_only(job, step, output)
    exported = any(map(cache_export.needs_store, step.cache_to))
    if exported and (store := job.engine.image_store()) != CONTAINERD_STORE:
        raise StepError(
            Reason.INVALID_PIPELINE, f"{cache_export.NEED}, and this one has {store}; {cache_export.REMEDY}"
        )
    return step


def _for_platforms(job: Job, step: BuildStep, output: Output) -> BuildStep:
    """The step with its platforms as Docker writes them. Raises StepError for several that the engine cannot keep."""
    named = platforms.each_once(step.platforms)
    if len(named) > 1 and (store := job.engine.image_store()) != CONTAINERD_STORE:
        raise StepError(Reason.INVALID_PIPELINE, f"{platforms.NEED}, and this one has {store}; {platforms.REMEDY}")
    if platforms.lack(named, machine := f"linux/{job.engine.connection.version.arch}"):
        output.note(f"not built for this machine's own platform, {machine}: steps in this image need emulation")
    return step.model_copy(update={"platforms": named})


def _image_of(
    job: Job, request: BuildRequest, watch: buildkit.Watch, limit: Deadline, output: Output
) -> dict[str, Any]:  # fmt: skip
    """Builds, and returns the engine's description of the image. Raises StepError if the build was stopped early.

    Builds with the same content have one image. The engine may delete it while it stores it again: when another job
    removes what was its last name (see ``image_removal``). An image that is missing is built again, from the cache.
    """
    for _ in range(BUILD_TRIES_MAX):
        digests = buildkit.build(job.builder(), request, watch)
        if not digests:
            job.check_time(limit)
        if image := next(filter(None, map(job.engine.image, digests)), None):
            wait_for_removals(job.engine)
            if job.engine.image(str(image["Id"])):
                return image
        output.note("the engine removed the image at once: another job had the same one and ended; building it again")
    raise MachineError(
        Reason.INTERNAL, f"the engine lost the image that was just built {BUILD_TRIES_MAX} times ({', '.join(digests)})"
    )
