"""Words of other CI systems, and what they are called here: for the hints of error messages."""

from collections.abc import Collection

from pipelines.trigger import Event

_TOP_KEYS = {
    "GitHub Actions": {"on", "jobs"},
    "CircleCI": {"version", "jobs"},
    "GitLab CI": {"stages"},
    "Kubernetes or Tekton": {"apiVersion", "kind"},
}
_COMPOSE = "Docker Compose"  # no CI system, and a step can run its files
_IMPORTED = ("GitHub Actions", "GitLab CI")

KEYS = {
    **dict.fromkeys(("script", "scripts", "run", "command", "cmd"), "commands"),
    **dict.fromkeys(("env", "vars"), "environment"),
    **dict.fromkeys(("needs", "requires", "wait_for"), "depends_on"),
    **dict.fromkeys(("if", "on", "only", "rules", "trigger", "triggers"), "when"),
    **dict.fromkeys(("uses", "container", "docker_image"), "image"),
    **dict.fromkeys(("with", "params", "options"), "settings"),
    **dict.fromkeys(("allow_failure", "continue-on-error"), "failure"),
    **dict.fromkeys(("working-directory", "working_dir", "workdir"), "directory"),
    **dict.fromkeys(("timeout-minutes", "timeout_in_minutes"), "timeout"),
    **dict.fromkeys(("healthcheck", "readiness"), "ready"),
    **dict.fromkeys(("jobs", "stages"), "steps"),
    **dict.fromkeys(("tag",), "tags"),
    **dict.fromkeys(("repository", "repositories"), "repo"),
    **dict.fromkeys(("runs-on", "node", "runner"), "labels"),
}
"""Keys of a pipeline file."""

EVENTS = {
    "schedule": Event.CRON,
    "scheduled": Event.CRON,
    "nightly": Event.CRON,
    "pr": Event.PULL_REQUEST,
    "merge_request": Event.PULL_REQUEST,
    "merge_request_event": Event.PULL_REQUEST,
    "workflow_dispatch": Event.MANUAL,
    "custom": Event.MANUAL,
    "web": Event.MANUAL,
    "promote": Event.DEPLOYMENT,
    "published": Event.RELEASE,
    "pull_request_opened": Event.PULL_REQUEST,
    "pull_request_updated": Event.PULL_REQUEST,
    "pull_request_merged": Event.PULL_REQUEST_CLOSED,
    "merged": Event.PULL_REQUEST_CLOSED,
}
"""Values of ``event``."""


def system_of(top_keys: Collection[str]) -> str:
    """The system whose file has these keys at its top, which no pipeline file has; empty where it is not clear."""
    if "steps" in top_keys:
        return ""
    return next((system for system, needed in _TOP_KEYS.items() if needed <= set(top_keys)), "")


def foreign_file(system: str, path: str) -> tuple[str, str]:
    """What to say of a file of another system, and what to do."""
    if system == _COMPOSE:
        return "this is a Compose file, not a pipeline file", f"a step runs it: compose: {path.rpartition('/')[2]}"
    remedy = "docs/using/coming-from.md says how to write it in a .headway.yml"
    if system in _IMPORTED:
        remedy = f"`headway import {path}` writes it anew below .headway/, and docs/using/coming-from.md has more"
    return f"this is a file of {system}, which Headway does not run", remedy
