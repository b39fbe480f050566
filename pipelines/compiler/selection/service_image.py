"""Finds the build step whose image a service runs in."""

from pipelines.compiler.selection.step_candidates import StepCandidate, StepCandidates
from pipelines.model.workflow import BuildStep
from pipelines.syntax.diagnostics import did_you_mean


def build_of_service(candidates: StepCandidates, index: int) -> StepCandidate | None:
    """The build step that the service at ``index`` names; None where it names an image, or after a problem.

    One that does not run is returned as well: then the service does not run either.
    """
    job, service = candidates.job, candidates.job.workflow.services[index]
    if job.located.was_changed("services", index) or (service.image and service.image.name):
        return None
    wanted = service.image.build if service.image else ""
    if not wanted:
        message = f"service '{service.name}' has no image"
        hint = "add 'image: NAME', or image: {build: STEP} for the image that a step builds"
        job.diagnostics.error(job.place("services", index), message, hint)
        return None
    builds = [each for each in candidates.all if isinstance(each.step, BuildStep)]
    found = [each for each in builds if wanted in {each.name, each.known_as}]
    if found:
        return next((each for each in reversed(found) if not each.left_out), found[-1])
    hint = did_you_mean(wanted, [each.name for each in builds]) or "name a step of this file that has 'build'"
    message = f"service '{service.name}' wants the image of '{wanted}', which no step builds"
    job.diagnostics.error(job.place("services", index, "image"), message, hint)
    return None
