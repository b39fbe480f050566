"""Makes a job as it was in the process that died: what that had decided, and what it must still clean up."""

import shutil

from runner.cleanup.borrowed_tags import return_borrowed_tags
from runner.cleanup.processes import kill_build_clients
from runner.docker.containers.specs import JOB_LABEL
from runner.execution.job.job import Job


def restore(job: Job) -> None:
    """Called before anything of the job goes on. Raises StepError and OSError."""
    history = job.resumption.history
    kill_build_clients(job.assignment.folder)
    return_borrowed_tags(job.engine, job.assignment.folder)
    # Builds and pushes that were under way are done again, and need their place.
    shutil.rmtree(job.scratch, ignore_errors=True)
    job.scratch.mkdir(mode=0o700)
    job.network.resume()
    job.owner.resume(history.owner)
    job.images.know(history.images)
    job.caches.resume()
    job.services.extend(history.services.values())
    for name in history.untag:
        job.untag_at_end(name)
    job.built.update(history.built)
    steps = {step.number: step for step in job.plan.steps}
    for number, names, image in history.named:
        job.named.give(steps[number], names, image)
    _remove_others(job)


def _remove_others(job: Job) -> None:
    """Removes containers that nothing goes on with: of steps that ended, and of those that waited for their turn."""
    kept = {*job.services, *(opened.container for opened in job.resumption.opened().values())}
    for found in job.engine.containers_labelled(f"{JOB_LABEL}={job.assignment.key}"):
        if found["Id"] not in kept:
            job.removals.remove_now(found["Id"])
