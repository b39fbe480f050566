"""One job of GitLab CI as steps and services."""

import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from pipelines.importers.gitlab.conditions import When, text_values, when_of
from pipelines.importers.gitlab.docker_commands import Images, images_of
from pipelines.importers.gitlab.manual_jobs import changes_meaning, input_of
from pipelines.importers.gitlab.options import add_artifacts, add_caches, add_times
from pipelines.importers.gitlab.services import services_of
from pipelines.importers.gitlab.variables import Variables
from pipelines.importers.images import base_name
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Commented, Raw, Value
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

CELLS_COUNT_MAX = 256
DEFAULT_IMAGE = "ruby:3.1"
"""The image that GitLab's own runners take where a job names none."""

_BASH = re.compile(r"\[\[|<<<|\bsource\s|\bpushd\b|\bdeclare\s|\bpipefail\b|=\(|\$\{\w+(?:\^|,)|\bshopt\b")
_LEFT_OUT = (
    "environment",
    "coverage",
    "interruptible",
    "dependencies",
    "release",
    "pages",
    "publish",
    "hooks",
    "inherit",
)
_NEEDED = ("secrets", "id_tokens", "identity", "run")
_OF_GIT = frozenset({"GIT_DEPTH", "GIT_STRATEGY", "GIT_SUBMODULE_STRATEGY", "GIT_CLEAN_FLAGS", "GIT_CHECKOUT"})


class Job(NamedTuple):
    """A job: its steps and services, and where it belongs. ``matrix`` are the combinations of its matrix."""

    name: str
    steps: list[Value]
    services: dict[str, Value]
    when: When
    stage: str
    needs: list[str] | None
    matrix: list[Value]
    place: Place
    group: str = ""


class Scope(NamedTuple):
    """What all jobs share: the variables of the file, and the images that earlier jobs build, with their steps."""

    remarks: Remarks
    variables: Mapping[str, str]
    built: dict[str, str]


def job_of(name: str, node: MapNode, scope: Scope) -> Job | None:
    """The job; None if it cannot run here, or never runs."""
    remarks = scope.remarks
    with remarks.comments() as comments:
        keys = Keys(node, remarks, f"job '{name}'")
        if (trigger := keys.take("trigger")) is not None:
            remarks.error(trigger.place, f"job '{name}' starts another pipeline; it is left out")
            return None
        own = {**scope.variables, **text_values(keys.take("variables"))}
        when = when_of(keys, own, remarks)
        if when.never:
            remarks.note(node.place, f"job '{name}' never runs; it is left out")
            return None
        if when.manual:
            _remark_on_manual(name, node.place, when, remarks)
        matrix = _matrix(keys, remarks)
        axes = [key for cell in matrix[:1] if isinstance(cell, dict) for key in cell]
        own = {key: value for key, value in own.items() if key not in _OF_GIT and key not in axes}
        variables = Variables(own, remarks, axes)
        services = services_of(keys.take("services"), variables, remarks)
        needs = _needs(keys)
        steps = _steps(name, keys, variables, scope, services)
        _common(keys, steps, when, variables, remarks)
        for key in _LEFT_OUT:
            if keys.take(key) is not None:
                remarks.note(keys.place(key), f"'{key}' of job '{name}' has no counterpart; it is left out")
        for key in _NEEDED:
            if keys.take(key) is not None:
                remarks.error(keys.place(key), f"'{key}' of job '{name}' has no counterpart; it is left out")
        keys.take("extends")
        stage, group = keys.text("stage") or "test", keys.text("resource_group")
        keys.remark_rest()
    shown: list[Value] = [Commented(tuple(comments), steps[0]) if comments else steps[0], *steps[1:]]
    return Job(name, shown, services, when, stage, needs, matrix, node.place, group)


def _remark_on_manual(name: str, place: Place, when: When, remarks: Remarks) -> None:
    message = f"job '{name}' is started by a run by hand with the input {input_of(name)}"
    if changes_meaning(when.conditions):
        remarks.warning(place, f"{message}; its conditions for tags, events and changed files are left out")
    else:
        remarks.note(place, message)


def _needs(keys: Keys) -> list[str] | None:
    node = keys.take("needs")
    if node is None:
        return None
    return [text_of(item.by_key.get("job")) if isinstance(item, MapNode) else text_of(item) for item in items_of(node)]


def _matrix(keys: Keys, remarks: Remarks) -> list[Value]:
    """The combinations of ``parallel: matrix``."""
    node = keys.take("parallel")
    if isinstance(node, ScalarNode):
        remarks.warning(node.place, f"{keys.where} runs once, not {node.text} times")
        return []
    cells: list[Value] = []
    for item in items_of(node.by_key.get("matrix")) if isinstance(node, MapNode) else ():
        axes = [[(key.text, Raw(text)) for text in texts_of(value)] for key, value in entries_of(item)]
        for chosen in product(*axes):
            if len(cells) == CELLS_COUNT_MAX:
                remarks.error(
                    item.place, f"the matrix has more than {CELLS_COUNT_MAX} combinations; others are left out"
                )
                return cells
            cells.append(dict(chosen))
    return cells


def lines_of(node: Node | None) -> list[str]:
    """The commands of a script, lists in it spliced."""
    found: list[str] = []
    for item in items_of(node):
        if isinstance(item, ListNode):
            found += lines_of(item)
        elif isinstance(item, ScalarNode) and item.text.strip():
            found.append(item.text.strip("\n"))
    return found


def _steps(
    name: str, keys: Keys, variables: Variables, scope: Scope, services: dict[str, Value]
) -> list[dict[str, Value]]:
    before, script, after = (lines_of(keys.take(key)) for key in ("before_script", "script", "after_script"))
    place = keys.place("script")
    if not script:
        scope.remarks.error(place, f"job '{name}' has no script", "write one")
        script = ["true"]
    image = _image(keys, variables, scope)
    if _is_docker(image):
        found = images_of([*before, *script], lambda text: variables.text(text, place))
        if found and (found.builds or scope.built):
            for service in [each for each, value in services.items() if _runs_docker(value)]:
                del services[service]
            scope.remarks.note(place, f"the script of job '{name}' is 'build' and 'push' here")
            return _image_steps(name, found, scope)
    commands: list[Value] = [*before, *script]
    if after:
        body = "\n".join(f"  {line}" for text in after for line in text.split("\n"))
        commands.insert(0, f"after_script() {{\n  set +e\n{body}\n}}\ntrap after_script EXIT")
    step: dict[str, Value] = {"name": name, "image": image, "commands": commands}
    text = "\n".join([*before, *script, *after])
    if _BASH.search(text) and not _is_docker(image):
        scope.remarks.warning(
            place, f"commands run in sh here, and those of job '{name}' look like bash", "call bash -c"
        )
    if environment := _environment(text, keys, variables, services):
        step["environment"] = environment
    return [step]


def _environment(text: str, keys: Keys, variables: Variables, services: dict[str, Value]) -> dict[str, Value]:
    place = keys.place("script")
    found = variables.environment([text], place)
    if daemon := next((each for each, value in services.items() if _runs_docker(value)), ""):
        message = f"the Docker daemon of {keys.where} is a privileged service: the repository needs to be trusted"
        keys.remarks.warning(place, message, "an administrator allows it with `headway repo trust`")
        found |= {"DOCKER_HOST": Raw(f"tcp://{daemon}:2375"), "DOCKER_TLS_CERTDIR": ""}
    elif re.search(r"^\s*(?:docker|docker-compose) ", text, re.MULTILINE):
        keys.remarks.warning(place, f"{keys.where} calls docker, which needs an engine", "add a service docker:dind")
    return found


def _is_docker(image: Value) -> bool:
    return isinstance(image, str) and (base_name(image) in {"docker", "dind", "executor"} or "kaniko" in image)


def _runs_docker(service: Value) -> bool:
    return isinstance(service, dict) and service.get("privileged") is True


def _image_steps(name: str, images: Images, scope: Scope) -> list[dict[str, Value]]:
    steps: list[dict[str, Value]] = [{"name": name, "build": build} for build in images.builds]
    builder = name if images.builds else next(reversed(scope.built.values()))
    for number, (repo, tags) in enumerate(images.pushes):
        title = f"{name}-push{f'-{number + 1}' if number else ''}" if steps or number else name
        push: dict[str, Value] = {"repo": repo, "tags": tags, "image": {"build": builder}}
        steps.append({"name": title, "push": push})
        for tag in tags:
            scope.built[f"{repo}:{tag}"] = builder
    if images.builds and not images.pushes:
        scope.built[f":{name}"] = name
    return steps


def _image(keys: Keys, variables: Variables, scope: Scope) -> Value:
    node = keys.take("image")
    text = text_of(node.by_key.get("name")) if isinstance(node, MapNode) else text_of(node)
    if not text:
        hint = "write the image that its runner has"
        scope.remarks.warning(keys.place("image"), f"{keys.where} has no image; here it is {DEFAULT_IMAGE}", hint)
        return DEFAULT_IMAGE
    image = variables.text(text, keys.place("image"))
    if image in scope.built:
        return {"build": scope.built[image]}
    return image or DEFAULT_IMAGE


def _common(keys: Keys, steps: Iterable[dict[str, Value]], when: When, variables: Variables, remarks: Remarks) -> None:
    """What stands beside the script: the step with commands has it, conditions all of them."""
    first = next(iter(steps))
    allowed = keys.take("allow_failure")
    if isinstance(allowed, MapNode):
        remarks.warning(allowed.place, f"'allow_failure' of {keys.where} holds for every exit status here")
    ignores = when.allow_failure or isinstance(allowed, MapNode) or text_of(allowed) == "true"
    for step in steps:
        if ignores:
            step["failure"] = "ignore"
    add_times(keys, first, remarks)
    add_caches(keys.take("cache"), first, variables, remarks, keys.where)
    add_artifacts(keys, first, variables, remarks)
    if "commands" not in first:
        for key in ("cache", "artifacts", "reports"):
            first.pop(key, None)
    tags = texts_of(keys.take("tags"))
    if tags:
        remarks.note(
            keys.place("tags"), f"the tags {', '.join(tags)} of {keys.where} are left out; 'labels' choose workers"
        )
