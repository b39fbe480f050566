"""Words of other CI systems, and what they are called here: for the hints of error messages."""

from pipelines.trigger import Event

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
