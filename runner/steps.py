"""What each kind of step does. Adding a kind is a class in ``pipelines/plan.py`` and a case here."""

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from pipelines import platforms
from pipelines.plan import BuildStep, CommandsStep, PluginStep, PushStep, SecretRef, Step
from pipelines.state import PASSED, Outcome, Reason
from runner import container
from runner.builds import build
from runner.builds.command import BuildRequest
from runner.builds.progress import Instruction
from runner.container import Started
from runner.docker.about import CONTAINERD_STORE
from runner.errors import MachineError, StepError
from runner.events import ImageBuilt, InstructionChanged, Stream
from runner.images import push
from runner.images.names import BUILD_REPO
from runner.job import Job
from runner.output import Lines, Output


def perform(job: Job, step: Step, output: Output, early: Callable[[], Started | None]) -> Outcome:
    """Does a step; ``early`` gives its container if that was started before its turn.

    Its failing is the outcome or a StepError; a MachineError means that it could not be done.
    """
    match step:
        case CommandsStep() | PluginStep():
            return container.run(job, step, output, early())
        case BuildStep():
            return _build(job, step, output)
        case PushStep():
            return push.perform(job, step, output)
        case _:
            assert_never(step)


def _build(job: Job, step: BuildStep, output: Output) -> Outcome:
    if platforms.are_several(step.platforms) and (store := job.engine.image_store()) != CONTAINERD_STORE:
        raise StepError(Reason.INVALID_PIPELINE, f"{platforms.NEED}, and this one has {store}; {platforms.REMEDY}")
    job.require(*((SecretRef(secret=name),) for name in step.secrets.values()))
    tag = f"{BUILD_REPO}:{job.assignment.key}-{job.assignment.attempt}-{step.number}"
    scratch = job.scratch / f"build-{step.number}"
    scratch.mkdir()
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
        job.company,
    )

    def tell(instruction: Instruction) -> None:
        text, error = job.redactor.mask_text(instruction.text), job.redactor.mask_text(instruction.error)
        news = InstructionChanged(step.number, instruction.index, text, instruction.cached, instruction.seconds, error)
        job.emit(news)

    limit = job.time_for(step)
    job.keep_name(tag)
    lines = Lines(output, Stream.STDOUT)
    try:
        digests = build.build(job.builder(), request, build.Watch(lines, tell, job.cancel, limit.deadline))
    except StepError as error:
        if error.reason is Reason.BUILD_FAILED:
            job.engine.ping()  # an engine that went away has many ways to make its client fail
        raise
    if not digests:
        return job.canceled() if job.cancel else limit.outcome()
    image = _image_in_engine(job, digests)
    image_id, size_bytes = str(image["Id"]), int(image.get("Size", 0))
    job.built[step.number] = image_id
    output.note(f"built {image_id} ({size_bytes / 1e6:,.1f} MB)")
    job.emit(ImageBuilt(step.number, image_id, size_bytes))
    return PASSED


def _image_in_engine(job: Job, digests: Sequence[str]) -> dict[str, Any]:
    """The engine's description of the image that has one of these digests as its id."""
    for digest in digests:
        if image := job.engine.image(digest):
            return image
    raise MachineError(Reason.INTERNAL, f"the image that was just built is not in the engine ({', '.join(digests)})")
