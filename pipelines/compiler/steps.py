"""Turns selected candidates into steps of the plan."""

from posixpath import join, normpath
from typing import TypedDict, assert_never

from pipelines import plan
from pipelines.compiler.compose_services import health_of, with_own
from pipelines.compiler.containers import make_container
from pipelines.compiler.host_trust import check_build_trust, check_trust
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.plugins.encoding import encode
from pipelines.compiler.selection.pushes import push_tags
from pipelines.compiler.selection.step_candidates import StepCandidate
from pipelines.compiler.step_options.artifacts import plain_pattern, plan_artifacts
from pipelines.compiler.step_options.caches import plan_caches
from pipelines.compiler.step_options.readiness import plan_ready_of_step
from pipelines.compiler.step_options.reports import plan_reports
from pipelines.compiler.step_options.secret_files import plan_secret_files
from pipelines.environment.variables import StepIdentity
from pipelines.images import image_names
from pipelines.images.build_values import wrong_values
from pipelines.images.own_images import is_own_image
from pipelines.interpolation.operators import MADE_TAG_CHARACTERS_MAX
from pipelines.model.workflow import Build, BuildStep, CommandsStep, ComposeService, Failure, PluginStep, Push, PushStep
from pipelines.step_options.ready import Ready
from pipelines.step_options.retry_policy import Retry
from pipelines.visible import visible_line

REMOVE_ONE = "remove one of them"


def plan_step(job: JobInput, candidate: StepCandidate) -> plan.Step:
    """Plans the step. Problems go to the diagnostics of the job."""
    match candidate.step:
        case CommandsStep() as step:
            container = _container(job, candidate, step)
            commands = tuple(script.text for script in step.commands)
            return plan.CommandsStep(
                **_common(candidate),
                container=container,
                commands=commands,
                **_detached(job, candidate, step),
                artifacts=plan_artifacts(candidate.name, step.artifacts),
                caches=plan_caches(job, step.cache, container),
                reports=plan_reports(step.reports),
                secret_files=plan_secret_files(step),
                sources=tuple(map(plain_pattern, step.sources)),
            )
        case PluginStep() as step:
            if step.settings and step.entrypoint is not None:
                place = job.located.key_place(candidate.group, candidate.index, "entrypoint")
                job.diagnostics.error(
                    place, f"'entrypoint' does not go with 'settings' in step '{candidate.name}'", REMOVE_ONE
                )
            container = _container(job, candidate, step)
            kept = plan_artifacts(candidate.name, step.artifacts)
            return plan.PluginStep(
                **_common(candidate),
                container=container,
                project=step.compose.project if isinstance(step, ComposeService) else "",
                **_detached(job, candidate, step),
                artifacts=kept,
                caches=plan_caches(job, step.cache, container),
                reports=plan_reports(step.reports),
                secret_files=plan_secret_files(step),
            )
        case BuildStep() as step:
            return _build(job, candidate, step.build)
        case PushStep() as step:
            return _push(job, candidate, step.push)
        case _:
            assert_never(candidate.step)


class _Detached(TypedDict):
    detach: bool
    ready: Ready | None
    ready_timeout_s: int


def _detached(job: JobInput, candidate: StepCandidate, step: CommandsStep | PluginStep) -> _Detached:
    if isinstance(step, ComposeService):
        seconds = step.compose.health.seconds if step.compose.health else plan.READY_TIMEOUT_S
        return {"detach": step.detach, "ready": health_of(step), "ready_timeout_s": seconds}
    ready = plan_ready_of_step(job, step, (candidate.group, candidate.index), f"step '{candidate.name}'")
    seconds = (step.ready.timeout if step.ready else None) or plan.READY_TIMEOUT_S
    return {"detach": step.detach, "ready": ready, "ready_timeout_s": seconds}


class _Common(TypedDict):
    number: int
    name: str
    needs: tuple[int, ...]
    on_success: bool
    on_failure: bool
    on_canceled: bool
    on_failed_needs: bool
    failure: Failure
    timeout_s: int | None
    retry: Retry | None


def _common(candidate: StepCandidate) -> _Common:
    return {
        "number": candidate.number,
        "name": candidate.name,
        "needs": candidate.needs,
        "on_success": candidate.decision.on_success,
        "on_failure": candidate.decision.on_failure,
        "on_canceled": candidate.decision.on_canceled,
        "on_failed_needs": candidate.decision.on_failed_needs,
        "failure": candidate.step.failure,
        "timeout_s": candidate.step.timeout,
        "retry": candidate.step.retry.planned() if candidate.step.retry else None,
    }


def _container(job: JobInput, candidate: StepCandidate, step: CommandsStep | PluginStep) -> plan.Container:
    check_trust(job, step, (candidate.group, candidate.index), f"step '{candidate.name}'")
    if step.detach and step.retry:
        place = job.located.key_place(candidate.group, candidate.index, "retry")
        message = f"'retry' does not go with 'detach' in step '{candidate.name}': how it ends does not count"
        job.diagnostics.error(place, message, REMOVE_ONE)
    is_plugin = job.is_plugin(step, candidate.group, candidate.index)
    identity = StepIdentity(
        name=candidate.name,
        kind="plugin" if is_plugin else "commands",
        number=candidate.number,
        workflow=job.name,
        workspace=job.workspace.checkout,
        cell=job.cell,
    )
    where = (candidate.group, candidate.index)
    made = make_container(job, step, identity, where, candidate.build.number if candidate.build else 0)
    label = f"step '{candidate.name}'"
    return with_own(job, made, step, where, label) if isinstance(step, ComposeService) else made


def _build(job: JobInput, candidate: StepCandidate, build: Build) -> plan.BuildStep:
    if build.dockerfile and build.dockerfile_inline:
        place = job.located.key_place(candidate.group, candidate.index, "build", "dockerfile_inline")
        message = f"'dockerfile' and 'dockerfile_inline' do not go together in step '{candidate.name}'"
        job.diagnostics.error(place, message, REMOVE_ONE)
    where = (candidate.group, candidate.index, "build")
    check_build_trust(job, build, where, f"step '{candidate.name}'")
    for wrong in wrong_values(build):
        place = job.located.key_place(*where, wrong.key, *(() if wrong.part is None else (wrong.part,)))
        job.diagnostics.error(place, f"{wrong.message} in step '{candidate.name}'", wrong.hint)
    first, second = dockerfiles(build, of_plugin=candidate.of_plugin)
    _check_inside(job, build, where, "" if build.dockerfile_inline else first)
    return plan.BuildStep(
        **_common(candidate),
        context=build.context,
        dockerfile=first,
        dockerfile_else=second,
        dockerfile_inline=build.dockerfile_inline,
        target=build.target,
        args=build.args,
        secrets={name: secret.lower() for name, secret in build.secrets.items()},
        ssh=build.ssh,
        labels=build.labels,
        platforms=build.platforms,
        cache_from=build.cache_from,
        cache_to=build.cache_to,
        no_cache=build.no_cache,
        pull=build.pull,
        network=build.network,
        names=tuple(sorted(candidate.provides)),
    )


def _check_inside(job: JobInput, build: Build, where: tuple[str | int, ...], dockerfile: str) -> None:
    """Refuses what the build would refuse, in the same words: a link in the checkout can still lead out of it."""
    places = (("context", "build context", build.context), ("dockerfile", "Dockerfile", dockerfile))
    for key, what, path in places:
        if leads_out(path):
            message = f"the {what} {path!r} leads out of the repository"
            job.diagnostics.error(job.place(*where, key), message, "it must stay inside")
            return


def leads_out(path: str) -> bool:
    """Does a path, relative to the checkout, lead out of it by what is written?"""
    return path.startswith("/") or normpath(path).split("/")[0] == ".."


def dockerfiles(build: Build, *, of_plugin: bool = False) -> tuple[str, str]:
    """Where the Dockerfile is looked for, from the checkout: as in Compose beside the context.

    A plugin calls ``docker build -f`` in the checkout, or Kaniko, which also looks beside the context.
    """
    name = build.dockerfile or "Dockerfile"
    beside = normpath(join(build.context, name))
    return (normpath(name), beside) if of_plugin else (beside, "")


def _tag_hint(tag: str) -> str:
    """What makes a tag of a text that is none. ``@tag`` changes its value alone, not what stands around it."""
    if len(tag) > image_names.TAG_CHARACTERS_MAX:
        return (
            f"${{NAME@tag}} is at most {MADE_TAG_CHARACTERS_MAX} characters of any value: shorten what stands around it"
        )
    if image_names.is_tag(f"x{tag[1:]}"):
        return "begin it with a letter, a digit or '_'"
    return "${CI_COMMIT_BRANCH@tag} makes one of any branch"


def _push(job: JobInput, candidate: StepCandidate, push: Push) -> plan.PushStep:
    where = (candidate.group, candidate.index, "push")
    repos = tuple(dict.fromkeys(image_names.repo_at(push.registry, repo) for repo in push.repo))
    for index, repo in enumerate(repos):
        if not image_names.is_repo(repo):
            hint = "write [registry.example.org/]owner/name in lower case, and the tag under 'tags'"
            job.diagnostics.error(job.place(*where, "repo", index), f"'{repo}' is not a repository's name", hint)
        if is_own_image(repo):
            hint = "push to a repository of yours"
            job.diagnostics.error(job.place(*where, "repo", index), f"'{repo}' is a name of Headway's own", hint)
    wanted = push_tags(job, push)
    for tag in wanted:
        if why := image_names.why_no_tag(tag):
            index = push.tags.index(tag) if tag in push.tags else 0
            message = f"'{visible_line(tag)}' is not a tag: {why}"
            job.diagnostics.error(job.place(*where, "tags", index), message, _tag_hint(tag))
    if push.tags_file and not image_names.is_in_checkout(push.tags_file):
        message = f"'tags_file' is a file of the checkout, not '{push.tags_file}'"
        job.diagnostics.error(job.place(*where, "tags_file"), message, "write its path from there, for example .tags")
    return plan.PushStep(
        **_common(candidate),
        image=candidate.build.number if candidate.build else 0,
        repos=repos,
        tags=wanted,
        tags_file=push.tags_file,
        username=encode(push.username) if push.username else (),
        password=encode(push.password) if push.password else (),
    )
