"""Artifacts of a job: kept when a step has ended, and put into the checkout before the first."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from pipelines.plan import Artifacts, CommandsStep, PluginStep
from pipelines.state import Outcome, State
from runner.artifacts.checkout_files import find_in_checkout
from runner.artifacts.container_files import ContainerFiles
from runner.artifacts.files import ArtifactStorage, Found
from runner.artifacts.patterns import Patterns
from runner.artifacts.restoring import put_back
from runner.cleanup.folder_removal import remove_tree
from runner.errors import StepError, as_step_error
from runner.execution.job.job import Job
from runner.logs.output import Output


def keep_artifacts(
    job: Job, step: CommandsStep | PluginStep, container: str, output: Output, outcome: Outcome
) -> Outcome:
    """Keeps what the step asks for, after it has ended. Returns the step's outcome: failed where that is not possible.

    A step that has failed anyway keeps its outcome, and the log says what is missing.
    """
    asked, storage = step.artifacts, job.assignment.artifacts
    if asked is None or storage is None or not _is_due(asked, outcome):
        return outcome
    try:
        with job.timed("artifacts", step.name):
            _keep(job, step, asked, container, storage, output)
    except (StepError, OSError) as error:
        trouble = as_step_error(error).outcome
        if outcome.state is State.PASSED:
            return replace(trouble, exit_code=outcome.exit_code)
        output.note(f"headway: {trouble.message}")
    return outcome


def _is_due(asked: Artifacts, outcome: Outcome) -> bool:
    """After a cancellation, or on a broken machine, nothing is kept."""
    match outcome.state:
        case State.PASSED:
            return asked.when in {"success", "always"}
        case State.FAILED:
            return asked.when in {"failure", "always"}
        case _:
            return False


def _keep(
    job: Job,
    step: CommandsStep | PluginStep,
    asked: Artifacts,
    container: str,
    storage: ArtifactStorage,
    output: Output,
) -> None:
    patterns, found = Patterns(asked.paths, asked.exclude), Found(job.options.artifacts)
    spool = job.scratch / f"artifacts-{step.number}"
    remove_tree(job.engine, spool)  # of an earlier process that died here
    spool.mkdir(mode=0o700)
    try:
        found = find_files(job, step, container, patterns, found, spool)
        storage.keep(step.number, asked, found.files)
    finally:
        remove_tree(job.engine, spool)
    for sentence in found.left_out:
        output.note(f"headway: warning: {sentence}")
    for pattern in patterns.unmatched:
        output.note(f"headway: warning: no file matches {pattern!r}, so that it keeps no artifact")
    if found.files:
        what = "1 file" if len(found.files) == 1 else f"{len(found.files):,} files"
        output.note(f"headway: kept {what} as artifacts ({found.size_bytes:,} bytes)")


def find_files(
    job: Job, step: CommandsStep | PluginStep, container: str, patterns: Patterns, found: Found, spool: Path
) -> Found:
    """Looks in the checkout on this machine, or else in the container: what is there is copied to ``spool``.

    Returns what was found, perhaps in place of ``found``. Raises StepError and OSError.
    """
    folder = start_folder(job, step, container)
    inside = PurePosixPath(folder)
    prefix = ""
    if inside.is_relative_to(job.plan.workspace):
        parts = inside.relative_to(job.plan.workspace).parts
        try:
            find_in_checkout(job.checkout, parts, patterns, found, job.check)
        except PermissionError:
            # A step of another user has closed its files: the engine may read them.
            found, prefix = Found(found.limits, found.remedy), "/".join(parts)
        else:
            return found
    read = ContainerFiles(lambda path: job.engine.archive(container, path), folder, spool, job.check, prefix)
    read.find(patterns, found)
    return found


def start_folder(job: Job, step: CommandsStep | PluginStep, container: str) -> str:
    """Where the step's program starts, in its container."""
    if step.container.directory:
        return step.container.directory
    config = (job.engine.inspect(container) or {}).get("Config") or {}
    return str(config.get("WorkingDir") or "/")


def restore_artifacts(job: Job) -> None:
    """Puts the artifacts of the workflows that the job names into its checkout. Raises StepError and OSError."""
    storage, names = job.assignment.artifacts, job.plan.restored_from
    if storage is None or not names:
        return
    with job.timed("artifacts", ""):
        files = storage.kept_by(names)
        put_back(job.source, files, storage.read, job.check)
    if files:
        what = "1 artifact" if len(files) == 1 else f"{len(files):,} artifacts"
        job.note(f"restored {what} of {', '.join(sorted({file.source for file in files}))}")
