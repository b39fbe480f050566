"""The CI_* variables of a run, for ``${NAME}``, for conditions, and for the environment of every container."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.context import Context, RepoInfo
from pipelines.environment.environment_size import FILES_COUNT_MAX, Fitted, fit_own
from pipelines.state import State
from pipelines.trigger import PULL_REQUEST_EVENTS, Event, Trigger

AT_RUN_TIME = frozenset(
    {
        "CI_PIPELINE_STATUS",
        "CI_PIPELINE_STARTED",
        "CI_STEP_NAME",
        "CI_STEP_TYPE",
        "CI_STEP_NUMBER",
        "CI_STEP_STARTED",
        "CI_STEP_URL",
        "CI_WORKSPACE",
        "CI_SCRIPT",
    }
)
"""Variables that only a container has. The runner adds the first two and CI_STEP_STARTED when the step starts."""

_PREVIOUS = (
    *("COMMIT_SHA", "COMMIT_REF", "COMMIT_REFSPEC", "COMMIT_BRANCH", "COMMIT_SOURCE_BRANCH", "COMMIT_TARGET_BRANCH"),
    *("COMMIT_URL", "COMMIT_MESSAGE", "COMMIT_TIMESTAMP", "COMMIT_AUTHOR", "COMMIT_AUTHOR_EMAIL", "PIPELINE_NUMBER"),
    *("PIPELINE_PARENT", "PIPELINE_EVENT", "PIPELINE_EVENT_REASON", "PIPELINE_URL", "PIPELINE_FORGE_URL"),
    *("PIPELINE_DEPLOY_TARGET", "PIPELINE_DEPLOY_TASK", "PIPELINE_STATUS", "PIPELINE_CREATED", "PIPELINE_STARTED"),
    *("PIPELINE_FINISHED", "PIPELINE_AUTHOR", "PIPELINE_AVATAR"),
)


def _flag(value: bool) -> str:  # noqa: FBT001 - the value is all there is
    return "true" if value else "false"


def _number(value: int) -> str:
    return str(value) if value else ""


def run_variables(trigger: Trigger, context: Context) -> dict[str, str]:
    """Every CI_* variable that a run may have. Those without a value, or with one that is too large, are empty."""
    return fitted_variables(trigger, context).values


def fitted_variables(trigger: Trigger, context: Context) -> Fitted:
    """The ``run_variables``, with a note for each that is not whole."""
    return fit_own({
        "CI": "headway",
        **_repo(context),
        **_commit(trigger),
        **_pull_request(trigger),
        **_pipeline(trigger, context),
        **{f"CI_PREV_{name}": "" for name in _PREVIOUS},
        **context.previous,
        **_system(context),
    })  # fmt: skip


def _repo(context: Context) -> dict[str, str]:
    repo = context.repo
    owner, _, name = repo.name.rpartition("/")
    trust = repo.trust
    return {
        "CI_REPO": repo.name,
        "CI_REPO_OWNER": owner,
        "CI_REPO_NAME": name,
        "CI_REPO_REMOTE_ID": "",
        "CI_REPO_URL": repo.web_url,
        "CI_REPO_CLONE_URL": repo.clone_url,
        "CI_REPO_CLONE_SSH_URL": "" if repo.clone_url.startswith(("http:", "https:")) else repo.clone_url,
        "CI_REPO_DEFAULT_BRANCH": repo.default_branch,
        "CI_REPO_PRIVATE": _flag(repo.private),
        "CI_REPO_TRUSTED": _flag(trust.network and trust.volumes and trust.security),
        "CI_REPO_TRUSTED_NETWORK": _flag(trust.network),
        "CI_REPO_TRUSTED_VOLUMES": _flag(trust.volumes),
        "CI_REPO_TRUSTED_SECURITY": _flag(trust.security),
    }


def _commit(trigger: Trigger) -> dict[str, str]:
    tag = trigger.tag or (trigger.ref.removeprefix("refs/tags/") if trigger.ref.startswith("refs/tags/") else "")
    return {
        "CI_COMMIT_SHA": trigger.sha,
        "CI_COMMIT_REF": trigger.ref,
        "CI_COMMIT_BRANCH": trigger.branch,
        "CI_COMMIT_TAG": tag,
        "CI_COMMIT_MESSAGE": trigger.message,
        "CI_COMMIT_TIMESTAMP": _number(trigger.timestamp_s),
        "CI_COMMIT_AUTHOR": trigger.author,
        "CI_COMMIT_AUTHOR_EMAIL": trigger.author_email,
        "CI_COMMIT_AUTHOR_AVATAR": "",
        "CI_COMMIT_PRERELEASE": _flag(trigger.prerelease) if trigger.event is Event.RELEASE else "",
    }


def _pull_request(trigger: Trigger) -> dict[str, str]:
    pull = trigger.pull_request if trigger.event in PULL_REQUEST_EVENTS else None
    return {
        "CI_COMMIT_REFSPEC": f"{pull.source_branch}:{pull.target_branch}" if pull else "",
        "CI_COMMIT_SOURCE_BRANCH": pull.source_branch if pull else "",
        "CI_COMMIT_TARGET_BRANCH": pull.target_branch if pull else "",
        "CI_COMMIT_PULL_REQUEST": _number(pull.number) if pull else "",
        "CI_COMMIT_PULL_REQUEST_LABELS": ",".join(pull.labels) if pull else "",
        "CI_COMMIT_PULL_REQUEST_MILESTONE": pull.milestone if pull else "",
        "CI_COMMIT_PULL_REQUEST_DRAFT": _flag(pull.draft) if pull else "",
    }


def _pipeline(trigger: Trigger, context: Context) -> dict[str, str]:
    files = trigger.changed_files or ()
    too_many = trigger.too_many_changed or len(files) > FILES_COUNT_MAX
    release = trigger.event is Event.RELEASE
    return {
        "CI_PIPELINE_NUMBER": _number(context.run_number),
        "CI_PIPELINE_PARENT": _number(context.parent_number),
        "CI_PIPELINE_EVENT": trigger.event.value,
        "CI_PIPELINE_EVENT_REASON": trigger.event_reason,
        "CI_PIPELINE_URL": context.run_url,
        "CI_PIPELINE_FORGE_URL": trigger.url,
        "CI_PIPELINE_DEPLOY_TARGET": trigger.deploy_target,
        "CI_PIPELINE_DEPLOY_TASK": trigger.deploy_task,
        "CI_PIPELINE_RELEASE_TITLE": trigger.release_title,
        "CI_PIPELINE_RELEASE_PRE": _flag(trigger.prerelease) if release else "",
        "CI_PIPELINE_CREATED": _number(context.created_s),
        "CI_PIPELINE_FILES": "" if too_many else json.dumps(files, ensure_ascii=False),
        "CI_PIPELINE_AUTHOR": trigger.sender or trigger.author,
        "CI_PIPELINE_AVATAR": "",
        "CI_PIPELINE_RERUNS": "",
    }


def _system(context: Context) -> dict[str, str]:
    return {
        "CI_SYSTEM_NAME": context.system_name,
        "CI_SYSTEM_URL": context.system_url,
        "CI_SYSTEM_HOST": context.system_host,
        "CI_SYSTEM_VERSION": context.system_version,
        "CI_SYSTEM_PLATFORM": context.platform,
        "CI_FORGE_TYPE": context.repo.forge,
        "CI_FORGE_URL": context.repo.forge_url,
    }


_STATUSES = {
    State.QUEUED: "pending",
    State.RUNNING: "running",
    State.PASSED: "success",
    State.FAILED: "failure",
    State.BROKEN: "error",
    State.CANCELED: "killed",
    State.SKIPPED: "skipped",
}


class PreviousRun(NamedTuple):
    """The run before this one on the same branch. Times are seconds since 1970, 0 for none."""

    trigger: Trigger
    context: Context
    state: State
    started_s: int = 0
    finished_s: int = 0


def previous_variables(previous: PreviousRun) -> dict[str, str]:
    """The CI_PREV_* variables: those of the previous run, and how it ended."""
    found = run_variables(previous.trigger, previous.context)
    found |= {
        "CI_COMMIT_URL": previous.trigger.url,
        "CI_PIPELINE_STATUS": _STATUSES[previous.state],
        "CI_PIPELINE_STARTED": _number(previous.started_s),
        "CI_PIPELINE_FINISHED": _number(previous.finished_s),
    }
    return {f"CI_PREV_{name}": found[f"CI_{name}"] for name in _PREVIOUS}


class StepIdentity(NamedTuple):
    """Identifies a container of a job. ``kind`` is ``commands``, ``plugin`` or ``service``."""

    name: str
    kind: str
    number: int
    workflow: str
    workspace: str
    cell: Mapping[str, str] = {}


def step_environment(
    trigger: Trigger, context: Context, step: StepIdentity, run: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A container's environment without its own ``environment`` and ``settings``. Variables without a value are absent.

    The runner adds those that are known only when the step runs (AT_RUN_TIME), ``with_number`` adds CI_WORKFLOW_NUMBER.
    A plugin also gets Drone's names; a container with commands gets the matrix cell and a manual run's inputs.
    An axis of the matrix takes the place of a variable of its name, as it does in the file and in ``evaluate``; in a
    plugin too, whose other axes are not in its environment. ``run`` are the ``run_variables``, if the caller has them.
    """
    run = run or run_variables(trigger, context)
    axes = {name: value for name, value in step.cell.items() if name in OWN_NAMES}
    own = {
        "CI_SYSTEM_NAME": context.system_name,
        "CI_WORKFLOW_NAME": step.workflow,
        "CI_STEP_NAME": step.name,
        "CI_STEP_TYPE": step.kind,
        "CI_STEP_NUMBER": str(step.number),
        "CI_WORKSPACE": step.workspace,
    }
    extra = drone_variables({**run, **axes}, step) if step.kind == "plugin" else {**trigger.inputs, **step.cell}
    return {name: value for name, value in {**extra, **run, **own, **axes}.items() if value}


_OF_ONE_RUN = ("CI_COMMIT_", "CI_PIPELINE_", "CI_PREV_", "CI_SYSTEM_HOST", "CI_SYSTEM_VERSION")


def same_in_all_runs(variables: Mapping[str, str], cell: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that say which run it is, and where: a step that is reused must not see them.

    An axis of the matrix stays, also one with the name of such a variable: its values are those of the file.
    """
    return {name: value for name, value in variables.items() if name in cell or not name.startswith(_OF_ONE_RUN)}


DRONE = {
    "BRANCH": "CI_COMMIT_BRANCH",
    "COMMIT_BRANCH": "CI_COMMIT_BRANCH",
    "TAG": "CI_COMMIT_TAG",
    "SOURCE_BRANCH": "CI_COMMIT_SOURCE_BRANCH",
    "TARGET_BRANCH": "CI_COMMIT_TARGET_BRANCH",
    "BUILD_NUMBER": "CI_PIPELINE_NUMBER",
    "BUILD_PARENT": "CI_PIPELINE_PARENT",
    "BUILD_EVENT": "CI_PIPELINE_EVENT",
    "BUILD_LINK": "CI_PIPELINE_URL",
    "BUILD_CREATED": "CI_PIPELINE_CREATED",
    "BUILD_STARTED": "CI_PIPELINE_CREATED",
    "COMMIT": "CI_COMMIT_SHA",
    "COMMIT_SHA": "CI_COMMIT_SHA",
    "COMMIT_BEFORE": "CI_PREV_COMMIT_SHA",
    "COMMIT_REF": "CI_COMMIT_REF",
    "COMMIT_LINK": "CI_PIPELINE_FORGE_URL",
    "COMMIT_MESSAGE": "CI_COMMIT_MESSAGE",
    "COMMIT_AUTHOR": "CI_COMMIT_AUTHOR",
    "COMMIT_AUTHOR_NAME": "CI_COMMIT_AUTHOR",
    "COMMIT_AUTHOR_EMAIL": "CI_COMMIT_AUTHOR_EMAIL",
    "COMMIT_AUTHOR_AVATAR": "CI_COMMIT_AUTHOR_AVATAR",
    "REPO": "CI_REPO",
    "REPO_OWNER": "CI_REPO_OWNER",
    "REPO_NAME": "CI_REPO_NAME",
    "REPO_LINK": "CI_REPO_URL",
    "REPO_BRANCH": "CI_REPO_DEFAULT_BRANCH",
    "REPO_PRIVATE": "CI_REPO_PRIVATE",
    "REMOTE_URL": "CI_REPO_CLONE_URL",
    "GIT_HTTP_URL": "CI_REPO_CLONE_URL",
    "SYSTEM_HOST": "CI_SYSTEM_HOST",
}
"""Drone's names without DRONE_, and the CI_* variables with their values."""


def drone_variables(run: Mapping[str, str], step: StepIdentity) -> dict[str, str]:
    """The variables that plugins written for Drone read."""
    pull_request = run["CI_COMMIT_PULL_REQUEST"] or "0"
    return {
        **{f"DRONE_{name}": run[source] for name, source in DRONE.items()},
        "DRONE_PULL_REQUEST": pull_request,
        "PULLREQUEST_DRONE_PULL_REQUEST": pull_request,
        "DRONE_STEP_NUMBER": str(step.number),
        "DRONE_BUILD_STATUS": "success",
        "DRONE_REPO_SCM": "git",
    }


_NOTHING = Trigger(event=Event.PUSH, sha="", ref="")
OWN_NAMES = (
    frozenset(run_variables(_NOTHING, Context(RepoInfo("", ""))))
    | AT_RUN_TIME
    | {
        "CI_WORKFLOW_NAME",
        "CI_WORKFLOW_NUMBER",
    }
)
"""The names of all variables that Headway itself sets in containers."""
