"""Plans one job: a workflow with one cell of its matrix becomes a job of the plan, or is left out with a reason."""

import re
from typing import NamedTuple

from pipelines import plan
from pipelines.compiler.checkout import plan_checkout
from pipelines.compiler.containers import make_container
from pipelines.compiler.environment_limits import check_word
from pipelines.compiler.host_trust import check_trust
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.selection.pushes import drop_pushes
from pipelines.compiler.selection.selection import select_steps
from pipelines.compiler.selection.service_image import build_of_service
from pipelines.compiler.selection.step_candidates import StepCandidates
from pipelines.compiler.selection.step_dependencies import set_needs
from pipelines.compiler.step_options.artifacts import check_artifacts, restored_from
from pipelines.compiler.step_options.caches import check_caches
from pipelines.compiler.step_options.readiness import plan_ready
from pipelines.compiler.step_options.reports import check_reports
from pipelines.compiler.step_options.secret_files import check_secret_files
from pipelines.compiler.step_options.sources import check_sources
from pipelines.compiler.steps import plan_step
from pipelines.compiler.workflow_dependencies import check_waits_for_one
from pipelines.compiler.workspace import check_workspace
from pipelines.environment.variables import StepIdentity
from pipelines.model.concurrency import Concurrency
from pipelines.model.workflow import Service
from pipelines.plan import LeftOut

RESERVED_LABELS = "woodpecker-ci.org/"

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


class PlannedJob(NamedTuple):
    """A job or None, and what was left out. ``optional_needs`` are pairs: the job's workflow, and one that it needs."""

    job: plan.JobPlan | None
    left_out: tuple[LeftOut, ...] = ()
    optional_needs: tuple[tuple[str, str], ...] = ()


def plan_job(job: JobInput) -> PlannedJob:
    """Plans the job, without its number. Problems go to its diagnostics."""
    workflow = job.workflow
    check_workspace(job.located)
    decision = job.decide(workflow.when, "when", of_step=False)
    checkout, clone_steps, no_checkout = plan_checkout(job)
    candidates = select_steps(job, (("clone", clone_steps), ("steps", workflow.steps)), runs=decision.runs)
    drop_pushes(candidates)
    set_needs(candidates)
    check_artifacts(candidates)
    check_caches(candidates)
    check_reports(candidates)
    check_secret_files(candidates)
    check_sources(candidates)
    restored = restored_from(job)
    services, no_services = _services(candidates)
    steps = tuple(plan_step(job, candidate) for candidate in candidates.selected)
    if not decision.runs:
        return PlannedJob(None, (LeftOut(what=f"workflow '{job.name}'", why=decision.why),))
    left_out = (*no_checkout, *candidates.left_out(), *no_services)
    if not steps:
        why = "all its steps are left out"
        return PlannedJob(None, (*left_out, LeftOut(what=f"workflow '{job.name}'", why=why)))
    if not decision.on_success:
        check_waits_for_one(job)
    made = plan.JobPlan(
        name=job.name,
        file=job.diagnostics.file,
        number=0,
        cell=job.cell,
        labels={key: value for key, value in workflow.labels.items() if value and not key.startswith(RESERVED_LABELS)},
        needs=tuple(dependency.name for dependency in workflow.depends_on),
        restored_from=restored,
        on_success=decision.on_success,
        on_failure=decision.on_failure,
        workspace_base=job.workspace.base,
        workspace=job.workspace.checkout,
        checkout=checkout,
        services=services,
        steps=steps,
        timeout_s=workflow.timeout,
        concurrency=_concurrency(workflow.concurrency),
        notes=job.fitted_variables.notes,
    )
    optional = tuple((job.name, need.name) for need in workflow.depends_on if need.optional)
    return PlannedJob(made, left_out, optional)


def _concurrency(asked: Concurrency | None) -> plan.Concurrency | None:
    return plan.Concurrency(limit=asked.limit, group=asked.group, cancel=asked.cancel) if asked else None


def with_number(job: plan.JobPlan, number: int) -> plan.JobPlan:
    """The job with its number, which its containers get too."""
    steps = tuple(_step_of(step, number) for step in job.steps)
    services = tuple(
        service.model_copy(update={"container": _container_of(service.container, number)}) for service in job.services
    )
    return job.model_copy(update={"number": number, "steps": steps, "services": services})


def _step_of(step: plan.Step, number: int) -> plan.Step:
    if isinstance(step, plan.BuildStep | plan.PushStep):
        return step
    return step.model_copy(update={"container": _container_of(step.container, number)})


def _container_of(container: plan.Container, number: int) -> plan.Container:
    environment = {**container.environment, "CI_WORKFLOW_NUMBER": plan.text(str(number))}
    return container.model_copy(update={"environment": environment})


def _services(candidates: StepCandidates) -> tuple[tuple[plan.Service, ...], tuple[LeftOut, ...]]:
    job = candidates.job
    services: dict[str, plan.Service] = {}
    left_out = []
    for index, service in enumerate(job.workflow.services):
        name = service.name
        if not _HOST_NAME.fullmatch(name):
            hint = "give it a name of letters, digits, '-', '_' and '.': it is reached under this name"
            job.diagnostics.error(job.place("services", index, "name"), f"a service cannot be named '{name}'", hint)
        elif name in services:
            job.diagnostics.error(
                job.place("services", index, "name"), f"two services are named '{name}'", "give them different names"
            )
        decision = job.decide(service.when, "services", index, "when", of_step=True)
        build = build_of_service(candidates, index) if decision.runs else None
        if why := decision.why if not decision.runs else build.left_out if build else "":
            left_out.append(LeftOut(what=f"service '{name}' of workflow '{job.name}'", why=why))
        else:
            services[name] = _service(job, index, service, build.number if build else 0)
    return tuple(services.values()), tuple(left_out)


def _service(job: JobInput, index: int, service: Service, build: int) -> plan.Service:
    where, label = ("services", index), f"service '{service.name}'"
    check_trust(job, service, where, label)
    identity = StepIdentity(
        name=service.name,
        kind="service",
        number=0,
        workflow=job.name,
        workspace=job.workspace.checkout,
        cell=job.cell,
    )
    seconds = service.ready.timeout if service.ready else None
    check_word(job, label, "\n".join(script.text for script in service.commands), (*where, "commands"))
    return plan.Service(
        name=service.name,
        container=make_container(job, service, identity, where, build),
        commands=tuple(script.text for script in service.commands),
        ready=plan_ready(job, service.ready, where, label),
        ready_timeout_s=seconds or service.timeout or plan.READY_TIMEOUT_S,
        failure="ignore" if service.failure == "ignore" else "fail",
    )
