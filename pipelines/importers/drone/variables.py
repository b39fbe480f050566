"""Names of Drone's variables, and what they are called here."""

import re

from pipelines.environment.variables import DRONE
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Commented, Raw, Value
from pipelines.syntax.diagnostics import Place

NAMES = {
    **{f"DRONE_{name}": ours for name, ours in DRONE.items()},
    "DRONE": "CI",
    "DRONE_PULL_REQUEST": "CI_COMMIT_PULL_REQUEST",
    "DRONE_PULL_REQUEST_TITLE": "CI_COMMIT_MESSAGE",
    "DRONE_WORKSPACE": "CI_WORKSPACE",
    "DRONE_WORKSPACE_BASE": "CI_WORKSPACE",
    "DRONE_BUILD_STATUS": "CI_PIPELINE_STATUS",
    "DRONE_BUILD_TRIGGER": "CI_PIPELINE_AUTHOR",
    "DRONE_BUILD_FINISHED": "CI_PIPELINE_STARTED",
    "DRONE_DEPLOY_TO": "CI_PIPELINE_DEPLOY_TARGET",
    "DRONE_STAGE_NAME": "CI_WORKFLOW_NAME",
    "DRONE_STAGE_NUMBER": "CI_WORKFLOW_NUMBER",
    "DRONE_STEP_NAME": "CI_STEP_NAME",
    "DRONE_STEP_NUMBER": "CI_STEP_NUMBER",
    "DRONE_SYSTEM_HOSTNAME": "CI_SYSTEM_HOST",
    "DRONE_SYSTEM_VERSION": "CI_SYSTEM_VERSION",
    "DRONE_GIT_SSH_URL": "CI_REPO_CLONE_SSH_URL",
    "DRONE_SEMVER": "CI_COMMIT_TAG",
    "DRONE_SEMVER_SHORT": "CI_COMMIT_TAG",
    "DRONE_JOB_NUMBER": "CI_WORKFLOW_NUMBER",
    "CI_BUILD_NUMBER": "CI_PIPELINE_NUMBER",
    "CI_BUILD_EVENT": "CI_PIPELINE_EVENT",
    "CI_TAG": "CI_COMMIT_TAG",
}
"""Drone's name -> ours."""

_ALMOST = {
    "DRONE_PULL_REQUEST_TITLE": "holds the commit's message",
    "DRONE_BUILD_FINISHED": "holds the time of the start",
    "DRONE_SEMVER": "keeps a leading v of the tag",
    "DRONE_SEMVER_SHORT": "keeps a leading v of the tag",
    "DRONE_BUILD_STATUS": "may also be canceled",
}
_REFERENCE = re.compile(r"(?<=[${])(DRONE(?:_[A-Z_]+)?|CI_BUILD_NUMBER|CI_BUILD_EVENT|CI_TAG)(?![A-Za-z0-9_])")


class Renamer:
    """Writes references to Drone's variables as references to ours, with a remark where ours has another value."""

    def __init__(self, remarks: Remarks) -> None:
        self._remarks = remarks

    def text(self, text: str, place: Place) -> Raw:
        """The text with our names."""

        def ours(found: re.Match[str]) -> str:
            name = found[1]
            if name not in NAMES:
                self._remarks.warning(place, f"{name} is not set here", "write its value, or set it in 'environment'")
            elif name in _ALMOST:
                self._remarks.note(place, f"{NAMES[name]}, which replaces {name}, {_ALMOST[name]}")
            return NAMES.get(name, name)

        return Raw(_REFERENCE.sub(ours, text))

    def value(self, value: Value, place: Place) -> Value:
        """A value of any shape with our names in its texts; names of maps stay."""
        match value:
            case bool() | int():
                return value
            case str():
                return self.text(value, place)
            case list():
                return [self.value(item, place) for item in value]
            case dict():
                return {key: self.value(item, place) for key, item in value.items()}
            case Commented():  # pragma: no cover - what is read from a file has none
                return value
