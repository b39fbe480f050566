"""Plans ``resources`` of a container: reports what asks for more than the server gives."""

from pipelines.compiler.job_input import JobInput
from pipelines.model.resources import Resources
from pipelines.step_options import resources


def plan_resources(
    job: JobInput, asked: Resources | None, where: tuple[str | int, ...], label: str
) -> resources.Resources | None:  # fmt: skip
    """The resources of the container at ``where``; None if the file does not say any."""
    if asked is None:
        return None
    planned = asked.planned()
    for excess in resources.excesses(planned, job.context.resources_max):
        place = job.located.key_place(*where, "resources", excess.key)
        job.diagnostics.error(place, f"{excess.message} in {label}", excess.hint)
    return planned if str(planned) else None
