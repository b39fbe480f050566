"""Steps and services of Drone."""

from typing import NamedTuple

from pipelines.importers.drone.conditions import when_of
from pipelines.importers.drone.variables import Renamer
from pipelines.importers.drone.volumes import Volumes
from pipelines.importers.images import base_name, entrypoint_of
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of, value_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Commented, Raw, Value
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

_SAME = ("network_mode", "dns", "dns_search", "extra_hosts", "devices", "tmpfs", "ports", "entrypoint")
_PULL = {"always": True, "true": True}
_FAILURES = {"ignore": "ignore", "fail": "", "always": ""}
_AS_SETTINGS = {"DOCKER_USERNAME": "username", "DOCKER_PASSWORD": "password", "DOCKER_REGISTRY": "registry"}
_OF_STEPS = frozenset(
    {"name", "image", "commands", "environment", "settings", "when", "depends_on", "failure", "detach", "pull", "group"}
    | {"privileged", "volumes", "command", "user", "working_dir", "secrets", "shm_size", "mem_limit", "cpu_quota"}
    | {"resources", "memswap_limit", "cpu_shares", "cpu_set", "cap_add", "cap_drop", "ulimits", "labels", "template"}
    | set(_SAME)
)


class Scope(NamedTuple):
    """What all containers of a pipeline share. ``legacy`` is true for version 0.8."""

    remarks: Remarks
    rename: Renamer
    volumes: Volumes
    environment: dict[str, Value]
    legacy: bool
    cache: list[Value]


def container(node: Node, name: str, scope: Scope, *, is_service: bool = False) -> Value:
    """One step or service; its remarks stand above it."""
    what = f"service '{name}'" if is_service else f"step '{name}'"
    with scope.remarks.comments() as comments:
        keys = Keys(node, scope.remarks, what)
        keys.take("name"), keys.take("group")  # the order of steps is made of groups
        result: dict[str, Value] = {"name": Raw(name)}
        _image(keys, result, scope)
        _command(keys, result, scope, is_service=is_service)
        _environment(keys, result, scope)
        _options(keys, result, scope, is_service=is_service)
        scope.volumes.mount(keys.take("volumes"), result, is_service=is_service)
        if when := when_of(keys.take("when"), scope.remarks, f"'when' of {what}"):
            result["when"] = when
        if scope.cache and not is_service and "commands" in result:
            known = result.get("cache")
            result["cache"] = [*scope.cache, *(known if isinstance(known, list) else [])]
        _settings(keys, result, scope)
        keys.remark_rest()
    return Commented(tuple(comments), result) if comments else result


def _image(keys: Keys, result: dict[str, Value], scope: Scope) -> None:
    image = keys.text("image")
    place = keys.place("image")
    if not image:
        scope.remarks.error(place, f"{keys.where} has no image", "write one")
        image = "alpine"
    result["image"] = scope.rename.text(image, place)
    pull = keys.text("pull").lower()
    if _PULL.get(pull):
        result["pull"] = True


def _command(keys: Keys, result: dict[str, Value], scope: Scope, *, is_service: bool) -> None:
    commands = keys.take("commands")
    found: list[Value] = []
    for item in items_of(commands):
        if isinstance(item, MapNode | ListNode):
            scope.remarks.error(item.place, f"a command of {keys.where} is no text; it is left out", "put it in quotes")
        else:
            found.append(scope.rename.text(item.text, item.place))
    arguments = keys.take("command")
    if found:
        result["commands"] = found
    elif commands is not None and not is_service:
        scope.remarks.warning(keys.place("commands"), f"{keys.where} has no commands; it does nothing")
        result["commands"] = ["true"]
    if arguments is not None:
        _arguments(keys, arguments, result, scope)


def _arguments(keys: Keys, node: Node, result: dict[str, Value], scope: Scope) -> None:
    """``command`` are the arguments of the image's entrypoint."""
    words = [text_of(item) for item in items_of(node)]
    if isinstance(node, ScalarNode):
        words = node.text.split()
    own = texts_of(keys.take("entrypoint"))
    entrypoint: list[Value] = [Raw(text) for text in own] or entrypoint_of(str(result["image"]))
    if "commands" in result:
        scope.remarks.note(node.place, f"'command' of {keys.where} has no effect beside 'commands'")
    elif entrypoint:
        result["entrypoint"] = [*entrypoint, *(scope.rename.text(word, node.place) for word in words)]
    else:
        text = f"'command' of {keys.where} are arguments of an entrypoint that only the image knows"
        scope.remarks.error(node.place, text, "write entrypoint: [PROGRAM, ARGUMENT, ...]")


def _environment(keys: Keys, result: dict[str, Value], scope: Scope) -> None:
    node = keys.take("environment")
    found: dict[str, Value] = {}
    for key, value in entries_of(node):
        found[key.text] = _secret_or(value, scope)
    for item in items_of(node) if isinstance(node, ListNode) else ():
        name, _, text = text_of(item).partition("=")
        found[name] = scope.rename.text(text, item.place)
    for item in items_of(keys.take("secrets")) if scope.legacy else ():
        source = text_of(item) or text_of(Keys(item, scope.remarks, "a secret").take("source"))
        target = text_of(item.by_key.get("target")) if isinstance(item, MapNode) else ""
        found.setdefault((target or source).upper(), {"from_secret": Raw(source)})
    inherited = scope.environment if "commands" in result else {}
    if inherited or found:
        result["environment"] = {**inherited, **found}


def _secret_or(value: Node, scope: Scope) -> Value:
    """A value with our names. ``$$`` in Drone is ``$`` too, and ``from_secret`` is the same."""
    return scope.rename.value(value_of(value), value.place)


def _options(keys: Keys, result: dict[str, Value], scope: Scope, *, is_service: bool) -> None:
    for key in _SAME:
        if key not in result and (value := keys.take(key)) is not None:
            result[key] = scope.rename.value(value_of(value), value.place)
    if not is_service:
        result.pop("ports", None)
    _failure(keys, result)
    if keys.text("detach").lower() == "true" and not is_service:
        result["detach"] = True
    if keys.text("privileged").lower() == "true":
        result["privileged"] = True
        text = f"'privileged' of {keys.where} needs the repository to be trusted"
        scope.remarks.warning(keys.place("privileged"), text, "an administrator allows it with `headway repo trust`")
    if user := keys.text("user"):
        result["backend_options"] = {"docker": {"user": Raw(user)}}
    if folder := keys.text("working_dir"):
        result["directory"] = scope.rename.text(folder, keys.place("working_dir"))


def _failure(keys: Keys, result: dict[str, Value]) -> None:
    failure = keys.text("failure")
    if failure and failure not in _FAILURES:
        keys.remarks.warning(keys.place("failure"), f"there is no 'failure: {failure}'; it is left out")
    elif ours := _FAILURES.get(failure):
        result["failure"] = Raw(ours)


def _settings(keys: Keys, result: dict[str, Value], scope: Scope) -> None:
    """Settings of a plugin; in version 0.8 these are all keys of the step that no step has."""
    settings = _from_environment(result) if "commands" not in result else {}
    for key, value in entries_of(keys.take("settings")):
        settings[key.text] = _secret_or(value, scope)
    if scope.legacy:
        for key, value in entries_of(keys.node):
            if key.text not in _OF_STEPS:
                keys.take(key.text)
                settings[key.text] = _secret_or(value, scope)
    if settings and "commands" in result:
        _as_variables(keys, settings, result)
    elif settings:
        result["settings"] = settings


def _from_environment(result: dict[str, Value]) -> dict[str, Value]:
    """The settings that a plugin reads from variables. With variables of its own it is no plugin here."""
    environment = result.get("environment")
    if not isinstance(environment, dict):
        return {}
    is_docker = base_name(str(result["image"])) in {"docker", "drone-docker", "kaniko"}
    known = _AS_SETTINGS if is_docker else {}
    names = {name: known.get(name) or name.removeprefix("PLUGIN_").lower() for name in environment}
    moved = {name: key for name, key in names.items() if name in known or name.startswith("PLUGIN_")}
    found = {key: environment.pop(name) for name, key in moved.items()}
    if not environment:
        del result["environment"]
    return found


def _as_variables(keys: Keys, settings: dict[str, Value], result: dict[str, Value]) -> None:
    environment = result.setdefault("environment", {})
    for key, value in settings.items():
        if isinstance(environment, dict) and not isinstance(value, list):
            environment[f"PLUGIN_{key.upper().replace('-', '_')}"] = value
        else:
            text = f"'{key}' of {keys.where} has no counterpart beside 'commands'; it is left out"
            keys.remarks.warning(keys.place("settings"), text)
