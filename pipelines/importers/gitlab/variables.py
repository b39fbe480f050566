"""Variables of GitLab CI: the predefined ones, those of the file, and those that only the project's settings have."""

import re
from collections.abc import Iterable, Mapping

from pipelines.environment.variables import OWN_NAMES
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.diagnostics import Place

REGISTRY = "registry.example.org"

PREDEFINED: Mapping[str, str] = {
    "CI_COMMIT_SHORT_SHA": "${CI_COMMIT_SHA:0:8}",
    "CI_COMMIT_REF_NAME": "${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}",
    "CI_COMMIT_REF_SLUG": "${CI_COMMIT_BRANCH@tag}",
    "CI_COMMIT_BEFORE_SHA": "${CI_PREV_COMMIT_SHA}",
    "CI_COMMIT_TITLE": "${CI_COMMIT_MESSAGE}",
    "CI_COMMIT_DESCRIPTION": "${CI_COMMIT_MESSAGE}",
    "CI_BUILD_REF": "${CI_COMMIT_SHA}",
    "CI_BUILD_REF_NAME": "${CI_COMMIT_BRANCH}",
    "CI_BUILD_TAG": "${CI_COMMIT_TAG}",
    "CI_DEFAULT_BRANCH": "${CI_REPO_DEFAULT_BRANCH}",
    "CI_PROJECT_PATH": "${CI_REPO}",
    "CI_PROJECT_PATH_SLUG": "${CI_REPO@tag}",
    "CI_PROJECT_NAME": "${CI_REPO_NAME}",
    "CI_PROJECT_TITLE": "${CI_REPO_NAME}",
    "CI_PROJECT_NAMESPACE": "${CI_REPO_OWNER}",
    "CI_PROJECT_ROOT_NAMESPACE": "${CI_REPO_OWNER}",
    "CI_PROJECT_URL": "${CI_REPO_URL}",
    "CI_REPOSITORY_URL": "${CI_REPO_CLONE_URL}",
    "CI_PROJECT_DIR": "/headway/src",
    "CI_BUILDS_DIR": "/headway",
    "CI_PIPELINE_ID": "${CI_PIPELINE_NUMBER}",
    "CI_PIPELINE_IID": "${CI_PIPELINE_NUMBER}",
    "CI_PIPELINE_SOURCE": "${CI_PIPELINE_EVENT}",
    "CI_PIPELINE_CREATED_AT": "${CI_PIPELINE_CREATED}",
    "CI_COMMIT_REF_PROTECTED": "false",
    "CI_JOB_ID": "${CI_PIPELINE_NUMBER}",
    "CI_BUILD_ID": "${CI_PIPELINE_NUMBER}",
    "CI_JOB_URL": "${CI_PIPELINE_URL}",
    "CI_SERVER_URL": "${CI_FORGE_URL}",
    "CI_MERGE_REQUEST_IID": "${CI_COMMIT_PULL_REQUEST}",
    "CI_MERGE_REQUEST_ID": "${CI_COMMIT_PULL_REQUEST}",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "${CI_COMMIT_SOURCE_BRANCH}",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "${CI_COMMIT_TARGET_BRANCH}",
    "CI_OPEN_MERGE_REQUESTS": "",
    "GITLAB_CI": "",
    "GITLAB_USER_LOGIN": "${CI_PIPELINE_AUTHOR}",
    "GITLAB_USER_NAME": "${CI_PIPELINE_AUTHOR}",
    "GITLAB_USER_EMAIL": "${CI_COMMIT_AUTHOR_EMAIL}",
    "CI_REGISTRY": REGISTRY,
    "CI_REGISTRY_IMAGE": REGISTRY + "/${CI_REPO}",
    "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX": "docker.io",
}
"""What GitLab sets, in the language of pipeline files. Names that are the same here are not among them."""

_SECRETS = frozenset(
    {"CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD", "CI_JOB_TOKEN", "CI_DEPLOY_USER", "CI_DEPLOY_PASSWORD"}
)
_AT_RUN_TIME = frozenset({"CI_JOB_STATUS"})
_OF_SHELLS = frozenset({"HOME", "PATH", "PWD", "OLDPWD", "USER", "SHELL", "HOSTNAME", "IFS", "RANDOM", "LANG", "TERM"})
_REFERENCE = re.compile(r"\$\$|\$\{?([A-Za-z_][A-Za-z0-9_]*)\b(\})?")
_NAMES = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)\b")
_LIKE_SECRETS = re.compile(
    r"TOKEN|(?:^|_)KEY|PASS(?:WORD|WD)?|(?:^|_)PWD|SECRET|CREDENTIAL|KUBECONFIG|WEBHOOK|(?:^|_)(?:USER|USERNAME|AUTH)$"
)
_LEVELS_MAX = 5


class Variables:
    """The variables of one job: ``own`` are those of the file, by name, ``axes`` those of its matrix."""

    def __init__(self, own: Mapping[str, str], remarks: Remarks, axes: Iterable[str] = ()) -> None:
        self.own, self._remarks, self._axes = own, remarks, frozenset(axes)

    def text(self, text: str, place: Place, level: int = 0) -> Raw:
        """A text of the configuration, where GitLab fills in variables, in the language of pipeline files."""
        parts: list[str] = []
        end = 0
        for found in _REFERENCE.finditer(text):
            before = text[end : found.start()]
            parts.append(literal(before))
            parts.append(literal("$") if found[0] == "$$" else self._value(found[1], place, level))
            end = found.end()
        return Raw("".join(parts) + literal(text[end:]))

    def _value(self, name: str, place: Place, level: int) -> str:
        if name in self._axes:
            return f"${{{name}}}"
        if name in self.own and level < _LEVELS_MAX:
            return self.text(self.own[name], place, level + 1)
        if name in PREDEFINED:
            return PREDEFINED[name]
        if name in OWN_NAMES:
            return f"${{{name}}}"
        self._remarks.warning(place, f"${name} is set nowhere in this file; it is empty here", "write its value")
        return ""

    def environment(self, commands: Iterable[str], place: Place) -> dict[str, Value]:
        """The variables that the commands of a job have, and those that they read of GitLab's."""
        found: dict[str, Value] = {}
        for name, text in self.own.items():
            whole = re.fullmatch(r"\$\{?([A-Z][A-Z0-9_]*)\}?", text)
            if whole and not self._known(whole[1]):
                found[name] = {"from_secret": Raw(whole[1].lower())}
            elif name in OWN_NAMES:
                self._remarks.warning(place, f"the variable {name} cannot be set here: the server sets it")
            else:
                found[name] = self.text(text, place)
        script = "\n".join(commands)
        for name in dict.fromkeys(_NAMES.findall(script)):
            if name not in found and (value := self._read(name, script, place)) is not None:
                found[name] = value
        return found

    def _known(self, name: str) -> bool:
        return name in self.own or name in PREDEFINED or name in OWN_NAMES

    def _read(self, name: str, script: str, place: Place) -> Value | None:
        """The value of a variable that commands read, and nothing in the file sets."""
        if name in _SECRETS or (not name.startswith("CI_") and _LIKE_SECRETS.search(name)):
            if _is_set_in(name, script):
                return None
            text = f"${name} is taken for a secret"
            self._remarks.warning(place, text, f"store it: headway secret set {name.lower()}")
            return {"from_secret": Raw(name.lower())}
        if name in _AT_RUN_TIME or name in OWN_NAMES or name in self._axes:
            return None
        if name in {"CI_REGISTRY", "CI_REGISTRY_IMAGE"}:
            self._remarks.warning(place, f"${name} is {PREDEFINED[name]} here", "write the address of your registry")
        if name in PREDEFINED:
            return Raw(PREDEFINED[name])
        if name.startswith(("CI_", "GITLAB_")):
            self._remarks.warning(place, f"${name} is not set here", "write its value into 'environment'")
        elif name not in _OF_SHELLS and not _is_set_in(name, script):
            text = f"${name} is set nowhere in this file"
            self._remarks.note(place, text, "if it is a variable of the project, write it into 'environment'")
        return None


def _is_set_in(name: str, script: str) -> bool:
    return re.search(rf"(?:^|[\s;&(]){name}=|\b(?:for|read|export)\s+(?:-\w+\s+)*{name}\b", script) is not None
