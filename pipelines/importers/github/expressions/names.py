"""What the contexts of GitHub Actions (``github``, ``matrix``, ``env`` ...) are here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipelines.environment.variable_names import why_not_a_name
from pipelines.importers.github.expressions.parser import Lit, Ref

CHECKOUT = "/headway/src"


class Variable(NamedTuple):
    """A variable of a run or of the matrix: its name in texts of a file and in an ``evaluate``."""

    template: str
    operand: str


class Input(NamedTuple):
    """An input: a variable of the step, which no text of a file can have, and a name in an ``evaluate``."""

    name: str


class Secret(NamedTuple):
    """A secret, or a variable of the repository, which is one here."""

    name: str


class Environment(NamedTuple):
    """An environment variable of a step."""

    name: str


class Output(NamedTuple):
    """What a step or another job has written: the shell reads the key from the file."""

    file: str
    key: str


Reference = Variable | Input | Secret | Environment | Output
Meaning = Lit | Reference


def _variable(name: str) -> Variable:
    return Variable(f"${{{name}}}", name)


_REF_NAME = Variable(
    "${CI_COMMIT_TAG:-${CI_COMMIT_BRANCH}}", '(CI_COMMIT_TAG != "" ? CI_COMMIT_TAG : CI_COMMIT_BRANCH)'
)
_SOURCE, _TARGET, _TAG = "CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_TARGET_BRANCH", "CI_COMMIT_TAG"
_PULL, _PERSON, _NUMBER = "CI_COMMIT_PULL_REQUEST", "CI_PIPELINE_AUTHOR", "CI_PIPELINE_NUMBER"
_GITHUB: Mapping[str, str | Variable | Lit] = {
    "sha": "CI_COMMIT_SHA", "ref": "CI_COMMIT_REF", "ref_name": _REF_NAME, "head_ref": _SOURCE, "base_ref": _TARGET,
    "event_name": "CI_PIPELINE_EVENT", "actor": _PERSON, "triggering_actor": _PERSON, "repository": "CI_REPO",
    "repository_owner": "CI_REPO_OWNER", "run_number": _NUMBER, "run_id": _NUMBER, "run_attempt": Lit("1"),
    "server_url": "CI_FORGE_URL", "workspace": Lit(CHECKOUT, is_text=True), "event.before": "CI_PREV_COMMIT_SHA",
    "event.after": "CI_COMMIT_SHA", "event.number": _PULL, "event.action": "CI_PIPELINE_EVENT_REASON",
    "event.repository.default_branch": "CI_REPO_DEFAULT_BRANCH", "event.repository.name": "CI_REPO_NAME",
    "event.repository.full_name": "CI_REPO", "event.repository.owner.login": "CI_REPO_OWNER",
    "event.head_commit.message": "CI_COMMIT_MESSAGE", "event.head_commit.id": "CI_COMMIT_SHA",
    "event.pull_request.number": _PULL, "event.pull_request.head.sha": "CI_COMMIT_SHA",
    "event.pull_request.head.ref": _SOURCE, "event.pull_request.base.ref": _TARGET,
    "event.pull_request.labels.*.name": "CI_COMMIT_PULL_REQUEST_LABELS",
    "event.pull_request.draft": "CI_COMMIT_PULL_REQUEST_DRAFT", "event.pull_request.user.login": _PERSON,
    "event.pull_request.title": "CI_COMMIT_MESSAGE", "event.sender.login": _PERSON, "event.ref": "CI_COMMIT_REF",
    "event.pull_request.head.repo.full_name": "CI_REPO", "event.pull_request.base.repo.full_name": "CI_REPO",
    "event.pull_request.head.repo.fork": Lit("false"), "event.release.tag_name": _TAG,
    "event.release.name": "CI_PIPELINE_RELEASE_TITLE", "event.release.prerelease": "CI_PIPELINE_RELEASE_PRE",
    "event.schedule": Lit(""), "api_url": Lit(""), "event_path": Lit(""),
}  # fmt: skip
_RUNNER = {"os": "Linux", "arch": "X64", "temp": "/tmp", "name": "headway", "tool_cache": "/opt"}  # noqa: S108
_OF_SHELLS = frozenset({"PATH", "HOME", "USER", "PWD", "SHELL", "LANG", "TERM", "IFS", "HOSTNAME", "IMAGE"})
_VARIABLES: Mapping[str, str] = {
    "GITHUB_SHA": "sha", "GITHUB_REF": "ref", "GITHUB_REF_NAME": "ref_name", "GITHUB_HEAD_REF": "head_ref",
    "GITHUB_BASE_REF": "base_ref", "GITHUB_EVENT_NAME": "event_name", "GITHUB_ACTOR": "actor",
    "GITHUB_REPOSITORY": "repository", "GITHUB_REPOSITORY_OWNER": "repository_owner", "GITHUB_RUN_ID": "run_id",
    "GITHUB_RUN_NUMBER": "run_number", "GITHUB_SERVER_URL": "server_url", "GITHUB_WORKSPACE": "workspace",
}  # fmt: skip
_CONSTANTS = {"RUNNER_OS": "Linux", "RUNNER_TEMP": "/tmp", "GITHUB_STEP_SUMMARY": "/dev/stdout", "RUNNER_ARCH": "X64"}  # noqa: S108


def variable_name(name: str) -> str:
    """The name that an axis of a matrix has here."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).upper()
    is_taken = found in _OF_SHELLS or found.startswith(("CI_", "HEADWAY_")) or not found[:1].isalpha()
    return f"MATRIX_{found}" if is_taken else found


def input_name(name: str) -> str:
    """The name that an input has here; some names are refused, because a program runs their values as code."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).upper()
    return f"INPUT_{found}" if why_not_a_name(found) else found


def output_key(name: str) -> str:
    """The key of an output, without characters that mean something to the shell."""
    return re.sub(r"[^\w-]", "_", name, flags=re.ASCII)


def github_variable(name: str) -> str | None:
    """The value of a variable that GitHub sets in each step, in the language of pipeline files; None if unknown."""
    if name in _VARIABLES:
        found = _GITHUB[_VARIABLES[name]]
        return (
            f"${{{found}}}" if isinstance(found, str) else found.template if isinstance(found, Variable) else found.text
        )
    return _CONSTANTS.get(name)


@dataclass
class Names:
    """What the names of one job mean. All are in lower case, but those of ``env``.

    ``env`` are the variables that the file sets, by name. ``matrix`` are the variables of its axes, by path,
    and ``constants`` those with one value; ``titles`` are the names of the workflow and the job;
    ``inputs`` the names of declared inputs. ``steps`` are the ids of steps with commands, ``needs`` the jobs before it.
    ``after_failure`` says whether the job may run after one of them failed; None as long as that is not known.
    ``read_steps`` are the ids of steps whose outputs others read.
    """

    env: dict[str, str] = field(default_factory=dict)
    matrix: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    steps: set[str] = field(default_factory=set)
    needs: frozenset[str] = frozenset()
    after_failure: bool | None = None
    read_steps: frozenset[str] = frozenset()

    def meaning(self, ref: Ref) -> Meaning | None:
        """What a reference means; None if it is not known here."""
        context, *rest = ref.path
        path = ".".join(rest)
        if context == "github":
            return self._github(path)
        if context == "matrix":
            return _variable(self.matrix[path]) if path in self.matrix else Lit(self.constants.get(path, ""))
        if context in {"secrets", "vars"} and path:
            return Secret(path)
        if context == "env" and path:
            return Environment(path)
        if context == "runner":
            return Lit(_RUNNER.get(path, ""), is_text=True)
        if context == "inputs":
            return self._input(path)
        return self._output(context, rest)

    def _github(self, path: str) -> Meaning | None:
        if path in {"workflow", "job"}:
            return Lit(self.titles.get(path, ""), is_text=True)
        if path == "token":
            return Secret("GITHUB_TOKEN")
        if path.startswith("event.inputs."):
            return self._input(path.removeprefix("event.inputs."))
        found = _GITHUB.get(path)
        return _variable(found) if isinstance(found, str) else found

    def _input(self, name: str) -> Meaning:
        return Input(input_name(name)) if name in self.inputs else Lit("")

    def _output(self, context: str, rest: list[str]) -> Meaning | None:
        match context, rest:
            case "steps", [step, "outputs", key]:
                return Output(f"/headway/{step}.outputs", output_key(key)) if step in self.steps else Lit("")
            case "needs", [job, "outputs", key] if job in self.needs:
                return Output(f"{CHECKOUT}/.outputs/{job}", output_key(key))
            case "needs", [_, "result"] if self.after_failure is False:
                return Lit("success", is_text=True)
            case "job", ["status"]:
                return _variable("CI_PIPELINE_STATUS")
            case _:
                return None
