"""The life of one job: opens it, checks out the source, starts services, runs the steps, and always cleans up."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.state import Outcome, Reason, State
from runner.caches.keys import KeyResolver
from runner.cancellation import Cancel
from runner.cleanup.folder_removal import remove_tree
from runner.cleanup.leftovers import find_earlier_attempts, remove_leftovers
from runner.docker.client import Engine
from runner.docker.init_program import write_init
from runner.docker.job_network import AddressWait
from runner.errors import MachineError, StepError, as_step_error
from runner.events import Emit, StepFinished
from runner.execution.artifacts import restore_artifacts
from runner.execution.host_access import check_plan
from runner.execution.job.job import Assignment, Job
from runner.execution.job.masked_events import masked_errors, masked_outcome
from runner.execution.resources.limits import check_resources
from runner.execution.restoration import restore
from runner.execution.reuse.step_reuse import StepReuse
from runner.execution.scheduler import Scheduler
from runner.execution.service.services import Services
from runner.images.image_record import ImageUse
from runner.private import NotPrivateError, private_folder
from runner.source.git.server import TransientGitError
from runner.threads import in_background, wait_for

if TYPE_CHECKING:
    from runner.builds.buildkit import Builder

WORKSPACE = "workspace"
"""The name of the folder, in the job's, that its containers see."""


def _no_leftovers() -> None:
    """For a caller that knows of no dead jobs."""


@contextmanager
def open_job(
    assignment: Assignment,
    engine: Engine,
    builder: Callable[[], "Builder"],
    emit: Emit,
    cancel: Cancel,
    on_cleanup_error: Callable[[str], None],
    sweep: Callable[[], None] = _no_leftovers,
) -> Iterator[Job]:
    """A job that is ready to run. On exit everything of it is removed from the engine and the disk.

    An error of the cleanup does not change the verdict: ``on_cleanup_error`` gets a sentence about it. ``sweep``
    removes leftovers of dead jobs; it is called if the engine has no address for this job's network.
    """
    if ":" in str(assignment.folder):
        hint = "let TMPDIR, or on a server HEADWAY_DATA_DIR, name another"
        raise MachineError(Reason.INTERNAL, f"containers cannot mount {assignment.folder}: it has a colon; {hint}")
    if not assignment.resumption:
        _remove_earlier(assignment, engine)
    try:
        if not assignment.resumption:
            _make_folders(assignment.folder, engine.connection.version.arch)
            if assignment.take_files is not None:
                assignment.take_files(assignment.folder / WORKSPACE)
        job = Job(assignment, engine, builder, emit, cancel)
        _begin(job)
        job.network.address_wait = AddressWait(job.options.address_wait_s, sweep, job.note, job.check)
        job.closers.append(job.network.stop_waiting)
    except BaseException:
        remove_tree(engine, assignment.folder)
        raise
    try:
        yield job
    finally:
        for error in job.close():
            on_cleanup_error(f"something of the job {assignment.key} could not be removed: {error}")


def _remove_earlier(assignment: Assignment, engine: Engine) -> None:
    """What earlier attempts at the job left here."""
    if assignment.attempt > 1:
        earlier = find_earlier_attempts(engine, assignment.key, assignment.attempt)
        if errors := remove_leftovers(engine, earlier):
            raise errors[0]
    remove_tree(engine, assignment.folder)


def _begin(job: Job) -> None:
    job.egress.prepare()
    job.images.on_found, job.images.on_pull = job.journal.image, job.emit
    if job.options.image_records:
        job.images.use = ImageUse(job.options.image_records)
    if job.resumption:
        restore(job)
    else:
        job.journal.began(job.started_s, job.deadline, job.assignment.fingerprint)


def _make_folders(folder: Path, arch: str) -> None:
    _make_folder(folder)
    (folder / "scratch").mkdir(mode=0o700)
    # For all users, because steps may run as any user. Made now, because prestarted containers mount it.
    (folder / WORKSPACE).mkdir()
    (folder / WORKSPACE).chmod(0o777)
    write_init(folder / "init", arch)


def _make_folder(folder: Path) -> None:
    """The job's folder, which no other user of this machine may enter. Raises MachineError and OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        private_folder(folder)
    except NotPrivateError as error:
        hint = "TMPDIR, or on a server HEADWAY_DATA_DIR, says where a job works"
        raise MachineError(Reason.INTERNAL, f"{str(error).removesuffix('.')}; {hint}") from None


def run_job(job: Job) -> Outcome:
    """Runs the job to its end and returns its outcome. Raises neither for a failed step nor for a broken machine.

    Raises TransientGitError, before the first step, where submodules or LFS files cannot be fetched for the moment.
    """
    with masked_errors(job.redactor):
        return masked_outcome(_run(job), job.redactor)


def _run(job: Job) -> Outcome:
    if job.resumption:
        return _resume(job)
    try:
        check_plan(job.plan, job.assignment.access.host)
        if not job.assignment.local:
            check_resources(job.plan, job.limits.most)
    except StepError as error:
        _skip_all(job, error.outcome)
        return error.outcome
    job.images.prefetch(job.requirements.early)
    services = Services(job)
    reuse = StepReuse(job)
    scheduler = Scheduler(job, services, reuse)
    if scheduler.reuse_ahead():
        return scheduler.run()
    checked = in_background(job.check_workspace)
    job.closers.append(partial(wait_for, checked))
    scheduler.prestart()
    fault = _prepare(job, services, checked, reuse)
    if fault is None:
        outcome = scheduler.run()
        services.note_ends()
        return outcome
    _skip_all(job, fault, scheduler.ended_steps)
    return fault


def _resume(job: Job) -> Outcome:
    """Goes on with a job whose source and services an earlier process prepared."""
    job.note(job.resumption.note)
    services = Services(job)
    scheduler = Scheduler(job, services, StepReuse(job))
    try:
        services.resume(job.resumption.history.services)
    except (StepError, OSError) as error:
        outcome = as_step_error(error).outcome
        _skip_all(job, outcome)
        return outcome
    scheduler.resume(job.resumption)
    outcome = scheduler.run()
    services.note_ends()
    return outcome


def _prepare(job: Job, services: Services, checked: Future[None], reuse: StepReuse) -> Outcome | None:
    """Checks out the source and starts the services. Returns why that failed, or None."""
    try:
        if job.assignment.take_files is None:
            _check_out(job)
            restore_artifacts(job)
        else:
            _use_taken(job)
        reuse.prepared()
        job.caches.prepare(job.plan.steps, KeyResolver(job.checkout, job.check))
        checked.result()
        if job.plan.services:
            job.owner.give_to_root()
        services.start()
        job.journal.prepared(job.owner.state)
    except TransientGitError as error:
        raise error.masked(job.redactor.mask_text) from error
    except (StepError, OSError) as error:
        return as_step_error(error).outcome
    return None


def _use_taken(job: Job) -> None:
    """Goes on with files that steps have written. Raises MachineError where the checkout is no folder any more.

    No container runs yet: what is looked at here stays as it is.
    """
    folder = job.source
    while folder != job.workspace_base:
        if folder.is_symlink() or not folder.is_dir():
            raise MachineError(Reason.CLONE_FAILED, "a step has replaced the checkout; run the job from its beginning")
        folder = folder.parent
    job.owner.forget()
    job.note("goes on with the files of the failed job; the steps that passed do not run again")


def _check_out(job: Job) -> None:
    """Raises StepError or MachineError."""
    if job.plan.checkout is None:
        job.source.mkdir(parents=True)
    else:
        job.assignment.check_out(job.source)
        if not job.plan.checkout.submodules and (job.source / ".gitmodules").is_file():
            hint = "`recursive: true` in the settings of `clone` fetches them"
            job.note(f"the folders of the repository's submodules are empty: {hint}")
    job.source.chmod(0o755)
    # What is around the checkout is for all users, because steps may run as any user.
    for folder in (job.workspace_base, *(each for each in job.source.parents if job.workspace_base in each.parents)):
        folder.chmod(0o777)


def _skip_all(job: Job, outcome: Outcome, reused: Collection[int] = ()) -> None:
    """Skips every step but those that were reused: the job ended before the first."""
    for step in (step for step in job.plan.steps if step.number not in {*job.resumption.ended, *reused}):
        job.emit(StepFinished(step.number, Outcome(State.SKIPPED, outcome.reason, "the job ended before this step")))
