"""Drafts -> the steps of the plan."""

from typing import TypedDict, assert_never

from pipelines import plan
from pipelines.compiler import image_tags
from pipelines.compiler.containers import make_container
from pipelines.compiler.encoding import encode
from pipelines.compiler.scope import Scope
from pipelines.compiler.selection import Draft, Drafts
from pipelines.compiler.trust import check_trust
from pipelines.model.workflow import Build, BuildStep, CommandsStep, Failure, PluginStep, Push, PushStep
from pipelines.trigger import PULL_REQUEST_EVENTS
from pipelines.variables import StepIdentity

REMOVE_ONE = "remove one of them"


def drop_pushes_without_tags(drafts: Drafts) -> None:
    """Leaves out push steps that have no tag for this trigger, before the steps get their needs."""
    for draft in drafts.kept:
        if isinstance(draft.step, PushStep) and not _may_have_tags(drafts.scope, draft.step.push):
            draft.left_out = "there is no tag for this trigger (auto tags the default branch and git tags)"
    for number, draft in enumerate(drafts.kept, start=1):
        draft.number = number


def _may_have_tags(scope: Scope, push: Push) -> bool:
    return bool(push.tags_file or push_tags(scope, push))


def push_tags(scope: Scope, push: Push) -> tuple[str, ...]:
    """The tags that a push step sets, with ``auto`` worked out, each once. A file of tags replaces the default."""
    found: list[str] = []
    for tag in () if push.tags_file and "tags" not in push.model_fields_set else push.tags:
        if tag != image_tags.AUTO:
            found.append(tag)
        elif scope.trigger.event not in PULL_REQUEST_EVENTS:
            found += image_tags.auto_tags(scope.trigger, scope.context.repo.default_branch)
    return tuple(dict.fromkeys(found))


def plan_step(scope: Scope, draft: Draft) -> plan.Step:
    """The step of the plan. What is wrong goes to the findings of the scope."""
    match draft.step:
        case CommandsStep() as step:
            container = _container(scope, draft, step)
            commands = tuple(script.text for script in step.commands)
            return plan.CommandsStep(**_common(draft), container=container, commands=commands, detach=step.detach)
        case PluginStep() as step:
            if step.settings and step.entrypoint is not None:
                place = scope.located.key_place(draft.group, draft.index, "entrypoint")
                scope.findings.error(
                    place, f"'entrypoint' does not go with 'settings' in step '{draft.name}'", REMOVE_ONE
                )
            container = _container(scope, draft, step)
            return plan.PluginStep(**_common(draft), container=container, detach=step.detach)
        case BuildStep() as step:
            return _build(scope, draft, step.build)
        case PushStep() as step:
            return _push(scope, draft, step.push)
        case _:
            assert_never(draft.step)


class _Common(TypedDict):
    number: int
    name: str
    needs: tuple[int, ...]
    on_success: bool
    on_failure: bool
    on_canceled: bool
    failure: Failure
    timeout_s: int | None


def _common(draft: Draft) -> _Common:
    return {
        "number": draft.number,
        "name": draft.name,
        "needs": draft.needs,
        "on_success": draft.decision.on_success,
        "on_failure": draft.decision.on_failure,
        "on_canceled": draft.decision.on_canceled,
        "failure": draft.step.failure,
        "timeout_s": draft.step.timeout,
    }


def _container(scope: Scope, draft: Draft, step: CommandsStep | PluginStep) -> plan.Container:
    check_trust(scope, step, (draft.group, draft.index), f"step '{draft.name}'")
    is_plugin = scope.is_plugin(step, draft.group, draft.index)
    identity = StepIdentity(
        name=draft.name,
        kind="plugin" if is_plugin else "commands",
        number=draft.number,
        workflow=scope.name,
        workspace=scope.workspace,
        cell=scope.cell,
    )
    return make_container(scope, step, identity, draft.build.number if draft.build else 0)


def _build(scope: Scope, draft: Draft, build: Build) -> plan.BuildStep:
    if build.dockerfile and build.dockerfile_inline:
        place = scope.located.key_place(draft.group, draft.index, "build", "dockerfile_inline")
        message = f"'dockerfile' and 'dockerfile_inline' do not go together in step '{draft.name}'"
        scope.findings.error(place, message, REMOVE_ONE)
    return plan.BuildStep(
        **_common(draft),
        context=build.context,
        dockerfile=build.dockerfile or "Dockerfile",
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
    )


def _push(scope: Scope, draft: Draft, push: Push) -> plan.PushStep:
    where = (draft.group, draft.index, "push")
    repos = tuple(dict.fromkeys(image_tags.repo_at(push.registry, repo) for repo in push.repo))
    for index, repo in enumerate(repos):
        if not image_tags.is_repo(repo):
            hint = "write [registry.example.org/]owner/name in lower case, and the tag under 'tags'"
            scope.findings.error(scope.place(*where, "repo", index), f"'{repo}' is not a repository's name", hint)
    wanted = push_tags(scope, push)
    for tag in wanted:
        if not image_tags.is_tag(tag):
            hint = "a tag has letters, digits, '_', '.' and '-'; ${CI_COMMIT_BRANCH//\\\\//-} makes one of a branch"
            scope.findings.error(scope.place(*where, "tags"), f"'{tag}' is not a tag", hint)
    if push.tags_file and not image_tags.is_in_checkout(push.tags_file):
        message = f"'tags_file' is a file of the checkout, not '{push.tags_file}'"
        scope.findings.error(scope.place(*where, "tags_file"), message, "write its path from there, for example .tags")
    return plan.PushStep(
        **_common(draft),
        image=draft.build.number if draft.build else 0,
        repos=repos,
        tags=wanted,
        tags_file=push.tags_file,
        username=encode(push.username) if push.username else (),
        password=encode(push.password) if push.password else (),
    )
