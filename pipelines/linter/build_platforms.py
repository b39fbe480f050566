"""Hints about the platforms of a build: what an image of several needs, and which one of it is tested."""

from pipelines.compiler.job_input import JobInput, WorkflowItem
from pipelines.compiler.plugins.build_plugins import build_plugin_platforms
from pipelines.images import platforms
from pipelines.model.workflow import BuildStep, PluginStep, PushStep


def check_platforms(job: JobInput, item: WorkflowItem) -> None:
    """Hints at what a multi-platform image needs, and at steps in an image that is not for their machine."""
    match item.model:
        case BuildStep():
            named, place = item.model.build.platforms, job.place(*item.where, "build", "platforms")
        case PluginStep():
            named, place = build_plugin_platforms(item.model), job.place(*item.where, "settings")
        case _:
            return
    if platforms.are_several(named):
        job.diagnostics.hint(place, platforms.NEED, platforms.REMEDY)
    machine = job.workflow.labels.get("platform") or job.context.platform
    if platforms.lack(named, machine) and (tests := _steps_in(job, item.model.name)):
        message = f"{tests} runs in this image, which is not built for {machine}: it needs emulation there"
        own = platforms.each_once(named)[0]
        hint = f"add {machine} to the platforms, or run the workflow on another machine: labels: {{platform: {own}}}"
        job.diagnostics.hint(place, message, hint)


def _steps_in(job: JobInput, build: str) -> str:
    """The first step or service that runs in the image of this build step; empty if there is none."""
    for item in job.items():
        image = None if isinstance(item.model, BuildStep | PushStep) else item.model.image
        if build and image and image.build == build:
            return item.label
    return ""
