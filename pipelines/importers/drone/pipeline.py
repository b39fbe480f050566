"""One pipeline of Drone, a YAML document, as a workflow."""

import re
from typing import NamedTuple

from pipelines.importers.drone.caches import is_clone
from pipelines.importers.drone.conditions import when_of
from pipelines.importers.drone.containers import Scope, container
from pipelines.importers.drone.steps import Named, named, steps_of
from pipelines.importers.drone.variables import Renamer
from pipelines.importers.drone.volumes import Volumes
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of, value_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.nodes import MapNode, ScalarNode

_OF_KUBERNETES = {"node_selector", "service_account_name", "tolerations", "metadata", "secrets"}
_TYPES = {"", "docker", "kubernetes"}
_GIT = re.compile(r"\bgit\s+(?:describe|log|diff|rev-list|tag|merge-base|fetch|push)\b")
_CLONE_SETTINGS = ("depth", "tags", "recursive", "lfs", "submodule_override")


class CheckoutNeeds(NamedTuple):
    """What the commands of a file need of the checkout: its history, and the folder in which Drone has it."""

    history: bool
    folder: bool


def needs_of_checkout(text: str) -> CheckoutNeeds:
    """What is looked for in the text of the whole file, once for all of its pipelines."""
    return CheckoutNeeds(_GIT.search(text) is not None, "/drone/src" in text)


def workflow_of(node: MapNode, remarks: Remarks, checkout: CheckoutNeeds) -> dict[str, Value]:
    """The workflow of a pipeline in a file whose commands need this of the ``checkout``."""
    legacy = "pipeline" in node.by_key
    keys = Keys(node, remarks, "the pipeline")
    _kind(keys)
    volumes = Volumes(keys, remarks)
    rename = Renamer(remarks)
    variables = entries_of(keys.take("environment"))
    environment = {key.text: rename.value(value_of(value), value.place) for key, value in variables}
    scope = Scope(remarks, rename, volumes, environment, legacy, [])
    result: dict[str, Value] = {}
    _when(keys, result)
    _labels(keys, result)
    _same(keys, result)
    steps = _steps(keys, legacy=legacy)
    _clone(keys, steps, result, checkout)
    _workspace(keys, result, checkout)
    services = named(keys.take("services"))
    result["services"] = [container(each, name, scope, is_service=True) for name, each in services]
    result["steps"] = steps_of(steps, scope)
    if not result["steps"]:
        remarks.error(node.place, "the pipeline has no steps", "write one")
        result["steps"] = [{"name": "nothing", "image": "alpine", "commands": ["true"]}]
    _rest(keys, remarks)
    return {key: value for key, value in result.items() if value not in ([], {}, "")}


def _steps(keys: Keys, *, legacy: bool) -> Named:
    return named(keys.take("pipeline" if legacy else "steps"))


def _kind(keys: Keys) -> None:
    for key in ("kind", "name", "version"):
        keys.take(key)
    runner = keys.text("type")
    if runner not in _TYPES:
        hint = "choose an image for each step"
        keys.remarks.error(keys.place("type"), f"a pipeline of type '{runner}' runs without containers", hint)


def _when(keys: Keys, result: dict[str, Value]) -> None:
    when = when_of(keys.take("trigger"), keys.remarks, "'trigger'")
    if branches := keys.take("branches"):  # version 0.8
        when["branch"] = value_of(branches)
    result["when"] = when


def _labels(keys: Keys, result: dict[str, Value]) -> None:
    labels: dict[str, Value] = {key.text: value_of(value) for key, value in entries_of(keys.take("labels"))}
    labels |= {key.text: Raw(text_of(value)) for key, value in entries_of(keys.take("node"))}
    platform = keys.take("platform")
    if isinstance(platform, ScalarNode):
        labels["platform"] = Raw(platform.text)
    elif platform is not None:
        inner = Keys(platform, keys.remarks, "'platform'")
        system, machine = inner.text("os") or "linux", inner.text("arch") or "amd64"
        inner.take("variant"), inner.take("version")
        inner.remark_rest()
        labels["platform"] = Raw(f"{system}/{machine}")
        if system != "linux":
            keys.remarks.error(platform.place, f"there are no workers for {system}")
    result["labels"] = labels


def _same(keys: Keys, result: dict[str, Value]) -> None:
    if matrix := keys.take("matrix"):
        result["matrix"] = value_of(matrix)
    if limit := keys.take("concurrency"):
        inner = Keys(limit, keys.remarks, "'concurrency'")
        number = inner.take("limit")
        result["concurrency"] = value_of(number) if number else ""
        inner.remark_rest()


def _clone(keys: Keys, steps: Named, result: dict[str, Value], checkout: CheckoutNeeds) -> None:
    clone = Keys(keys.take("clone"), keys.remarks, "'clone'")
    disabled = clone.text("disable").lower() == "true" or keys.text("skip_clone").lower() == "true"
    settings: dict[str, Value] = {}
    _take_clone_settings(clone, settings)
    for _, step in clone.rest():  # version 0.8 has steps there
        inner = Keys(step, keys.remarks, "a step of 'clone'")
        inner.take("image")
        _take_clone_settings(inner, settings)
        inner.remark_rest()
    for _, step in steps:
        if isinstance(step, MapNode) and is_clone(step):
            inner = Keys(step.by_key.get("settings", step), keys.remarks, "the step that clones")
            _take_clone_settings(inner, settings)
            disabled = False
    if disabled:
        result["skip_clone"] = True
        return
    if not settings and checkout.history:
        settings |= {"depth": 0, "tags": True}
        keys.remarks.note(keys.place("steps"), "commands read the history: the checkout has all commits and tags")
    result["clone"] = {"git": {"settings": settings}} if settings else {}


def _take_clone_settings(keys: Keys, settings: dict[str, Value]) -> None:
    for key in _CLONE_SETTINGS:
        if (value := keys.take(key)) is not None:
            settings[key] = value_of(value)
    for key in ("skip_verify", "trace", "retries"):
        if keys.take(key) is not None:
            keys.remarks.note(keys.place(key), f"'{key}' of {keys.where} has no counterpart; it is left out")


def _workspace(keys: Keys, result: dict[str, Value], checkout: CheckoutNeeds) -> None:
    workspace = Keys(keys.take("workspace"), keys.remarks, "'workspace'")
    base, path = workspace.text("base"), workspace.text("path")
    workspace.remark_rest()
    if base or path:
        result["workspace"] = {"base": Raw(base or "/drone"), "path": Raw(path.strip("/") or "src")}
    elif checkout.folder:
        result["workspace"] = {"base": "/drone", "path": "src"}


def _rest(keys: Keys, remarks: Remarks) -> None:
    secrets = keys.take("image_pull_secrets") or keys.take("pull_secrets")
    if secrets:
        hint = "log in with `headway registry login`"
        remarks.note(keys.place("image_pull_secrets"), "logins of registries are settings of the repository", hint)
    keys.take("depends_on")
    for key, value in keys.rest():
        if isinstance(value, ScalarNode) or key.text in _OF_KUBERNETES:
            remarks.warning(key.place, f"'{key.text}' of the pipeline has no counterpart; it is left out")
        else:
            remarks.note(key.place, f"'{key.text}' is no key of a pipeline; it is left out")


def needs_of(node: MapNode) -> list[str]:
    """The names of the pipelines that this one waits for."""
    return texts_of(node.by_key.get("depends_on"))


def has_trigger(node: MapNode) -> bool:
    """May the pipeline be left out of a run?"""
    return bool(items_of(node.by_key.get("trigger")))
