"""What ``headway plan`` shows, as values that every format prints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from typing import TypeVar, assert_never

from pipelines import plan
from pipelines.plan import JobPlan, LeftOut, Plan
from pipelines.step_options.caches import shown_key
from pipelines.step_options.ready import CommandCheck, ExitCheck, HealthCheck, HttpCheck, PortCheck, Ready
from pipelines.trigger import Event, Trigger


@dataclass(frozen=True)
class StepView:
    """One step. Steps with the same ``order`` may run together; ``needs`` are numbers of steps.

    ``artifacts`` are patterns of the files that it keeps, ``caches`` the keys of its caches, ``reports`` patterns of
    its report files. ``retry`` says how often it runs again, and when; empty for a step that does not. ``resources``
    are what its container may use at most, as far as the file says it. ``secret_files`` are the paths of its secrets.
    ``sources`` are patterns of the files on which its result depends, and ``reuse`` says whether it would run because
    of them.
    """

    number: int
    name: str
    kind: str
    image: str
    order: int
    needs: tuple[int, ...]
    runs_after: tuple[str, ...]
    artifacts: tuple[str, ...]
    caches: tuple[str, ...]
    retry: str
    resources: str
    reports: tuple[str, ...]
    secret_files: tuple[str, ...]
    sources: tuple[str, ...] = ()
    reuse: str = ""


@dataclass(frozen=True)
class ServiceView:
    """One service."""

    name: str
    image: str
    ready: str
    resources: str


@dataclass(frozen=True)
class JobView:
    """One job. Jobs with the same ``order`` may run together. ``runs_after``: outcomes of what it needs.

    ``restored_from`` are the workflows whose artifacts it gets.
    """

    name: str
    file: str
    cell: Mapping[str, str]
    order: int
    needs: tuple[str, ...]
    runs_after: tuple[str, ...]
    services: tuple[ServiceView, ...]
    steps: tuple[StepView, ...]
    restored_from: tuple[str, ...]


@dataclass(frozen=True)
class PlanView:
    """The whole output. ``warnings`` are lines."""

    trigger: str
    jobs: tuple[JobView, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]

    def as_values(self) -> dict[str, object]:
        """The same as plain values, for JSON."""
        left_out = [{"what": item.what, "why": item.why} for item in self.left_out]
        jobs = [asdict(job) for job in self.jobs]
        return {"trigger": self.trigger, "jobs": jobs, "left_out": left_out, "warnings": list(self.warnings)}


def view_of(planned: Plan, trigger: Trigger, reuse: Mapping[tuple[int, int], str] | None = None) -> PlanView:
    """The view of a plan. ``reuse`` are sentences about steps with sources, by the numbers of job and step."""
    orders = _orders({job.name: job.needs for job in planned.jobs})
    jobs = tuple(_job(job, orders[job.name], reuse or {}) for job in planned.jobs)
    return PlanView(describe(trigger), jobs, planned.left_out, tuple(str(problem) for problem in planned.warnings))


def describe(trigger: Trigger) -> str:
    """The trigger in a few words."""
    what = {
        Event.TAG: f"tag '{trigger.tag}'",
        Event.PUSH: f"push to branch '{trigger.branch}'",
        Event.CRON: f"cron job '{trigger.cron}' on branch '{trigger.branch}'",
    }.get(trigger.event, f"{trigger.event} on branch '{trigger.branch}'")
    if trigger.pull_request is not None:
        pull = trigger.pull_request
        what = f"{trigger.event} {pull.number} from branch '{pull.source_branch}' into '{pull.target_branch}'"
    return what


def _job(job: JobPlan, order: int, reuse: Mapping[tuple[int, int], str]) -> JobView:
    names = {step.number: step.name for step in job.steps}
    orders = _orders({step.number: step.needs for step in job.steps})
    steps = tuple(
        StepView(
            number=step.number,
            name=step.name,
            kind=step.kind,
            image=_image_of(step, names),
            order=orders[step.number],
            needs=step.needs,
            runs_after=_outcomes(step),
            artifacts=_artifacts(step),
            caches=_caches(step),
            retry=str(step.retry or ""),
            resources="" if isinstance(step, plan.BuildStep | plan.PushStep) else _resources(step.container),
            reports=_reports(step),
            secret_files=_secret_files(step),
            sources=step.sources if isinstance(step, plan.CommandsStep) else (),
            reuse=reuse.get((job.number, step.number), ""),
        )
        for step in job.steps
    )
    services = tuple(
        ServiceView(
            service.name, _image(service.container.image, names), _ready(service.ready), _resources(service.container)
        )
        for service in job.services
    )
    outcomes, source = _outcomes(job), job.restored_from
    return JobView(job.name, job.file, job.cell, order, job.needs, outcomes, services, steps, source)


def _reports(step: plan.Step) -> tuple[str, ...]:
    asked = step.reports if isinstance(step, plan.CommandsStep | plan.PluginStep) else None
    return (*asked.junit, *asked.coverage) if asked else ()


def _artifacts(step: plan.Step) -> tuple[str, ...]:
    kept = step.artifacts if isinstance(step, plan.CommandsStep | plan.PluginStep) else None
    return kept.paths if kept else ()


def _resources(container: plan.Container) -> str:
    return str(container.resources or "")


def _caches(step: plan.Step) -> tuple[str, ...]:
    kept = step.caches if isinstance(step, plan.CommandsStep | plan.PluginStep) else ()
    return tuple(shown_key(each.key) for each in kept)


def _secret_files(step: plan.Step) -> tuple[str, ...]:
    files = step.secret_files if isinstance(step, plan.CommandsStep | plan.PluginStep) else ()
    return tuple(each.path for each in files)


Key = TypeVar("Key", int, str)


def _orders(needs: Mapping[Key, Sequence[Key]]) -> dict[Key, int]:
    """The round in which each starts if all take the same time: 1 for those that need nothing."""
    orders: dict[Key, int] = {}
    for key in TopologicalSorter(
        {key: [need for need in wanted if need in needs] for key, wanted in needs.items()}
    ).static_order():
        orders[key] = 1 + max((orders[need] for need in needs[key] if need in orders), default=0)
    return orders


def _outcomes(part: plan.Step | JobPlan) -> tuple[str, ...]:
    canceled = not isinstance(part, JobPlan) and part.on_canceled
    flags = (("success", part.on_success), ("failure", part.on_failure), ("canceled", canceled))
    return tuple(name for name, on in flags if on)


def _image_of(step: plan.Step, names: Mapping[int, str]) -> str:
    match step:
        case plan.CommandsStep() | plan.PluginStep():
            return _image(step.container.image, names)
        case plan.BuildStep():
            where = "an inline Dockerfile" if step.dockerfile_inline else step.dockerfile
            return f"{where} in {step.context}" + (f", target {step.target}" if step.target else "")
        case plan.PushStep():
            tags = [*step.tags, *([f"those in {step.tags_file}"] if step.tags_file else [])]
            return f"{', '.join(step.repos)}: {', '.join(tags)}"
        case _:
            assert_never(step)


def _image(image: plan.Image, names: Mapping[int, str]) -> str:
    return image.name if isinstance(image, plan.NamedImage) else f"the image of '{names.get(image.step, '')}'"


def _ready(ready: Ready | None) -> str:
    match ready:
        case None:
            return ""
        case CommandCheck():
            return ready.command
        case PortCheck():
            return f"port {ready.port}"
        case HttpCheck():
            return ready.url
        case ExitCheck():
            return "exit"
        case HealthCheck():
            return " ".join(ready.words) or "its image's HEALTHCHECK or EXPOSEd ports"
        case _:
            assert_never(ready)
