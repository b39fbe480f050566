"""A service of a Compose file as a value, and how it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.compose.builds import read_build
from pipelines.compose.dependencies import Needed, read_depends_on
from pipelines.compose.env_files import ReadFile, read_env_files
from pipelines.compose.health import Health, read_health
from pipelines.compose.keys import IGNORED_KEYS, READ_KEYS, REFUSED_KEYS
from pipelines.compose.report import Report, shown
from pipelines.compose.resources import read_resources
from pipelines.compose.volumes import Mounts, MountScope, read_mounts
from pipelines.syntax.diagnostics import Place, did_you_mean
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VARIABLE_WORDS = "write NAME: value, or NAME alone for the value of the step"


@dataclass
class Service:
    """One service. ``build`` are the keys of a build step; without it and ``image`` there is an error in the file."""

    name: str
    place: Place
    image: ScalarNode | None = None
    build: MapNode | None = None
    pull: bool = False
    command: tuple[ScalarNode, ...] | None = None
    entrypoint: tuple[ScalarNode, ...] | None = None
    environment: dict[str, tuple[ScalarNode, Node]] = field(default_factory=dict)
    needs: Mapping[str, Needed] = field(default_factory=dict)
    health: Health | None = None
    mounts: Mounts = field(default_factory=Mounts)
    resources: MapNode | None = None
    aliases: tuple[str, ...] = ()
    profiles: frozenset[str] = frozenset()
    directory: ScalarNode | None = None
    user: ScalarNode | None = None
    role: Literal["beside", "first", "last"] = "beside"

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"the Compose service '{self.name}'"


@dataclass(frozen=True)
class Scope:
    """What the services of one file may refer to: its volumes and networks, its folder, the step's environment.

    ``read`` reads another file of the repository.
    """

    volumes: frozenset[str]
    networks: frozenset[str]
    folder: str
    environment: Mapping[str, Node]
    read: ReadFile


def read_service(name: ScalarNode, node: Node, scope: Scope, report: Report) -> Service:
    """The service, with what could be read of it. Problems go to the report."""
    service = Service(name.text, name.place)
    if not HOST_NAME.fullmatch(name.text):
        hint = "give it a name of letters, digits, '-', '_' and '.': it is reached under this name"
        report.error(name.place, f"a service cannot be named '{shown(name.text)}'", hint)
    _check_keys(service, node, report)
    fields = report.fields(node, service.label)
    _read_image(service, fields, scope, report)
    _read_program(service, fields, report)
    _read_environment(service, fields, scope, report)
    if "depends_on" in fields:
        service.needs = read_depends_on(fields["depends_on"], service.label, report)
    if "healthcheck" in fields:
        service.health = read_health(fields["healthcheck"], service.label, report)
    service.mounts = read_mounts(fields, service.label, MountScope(scope.volumes, scope.folder), report)
    service.resources = read_resources(fields, name.place, service.label, report)
    _read_names(service, fields, scope, report)
    return service


def _check_keys(service: Service, node: Node, report: Report) -> None:
    for key, _ in node.entries if isinstance(node, MapNode) else ():
        if key.text in REFUSED_KEYS:
            message = f"'{key.text}' of {service.label} is not supported"
            report.error(key.place, message, REFUSED_KEYS[key.text])
        elif why := IGNORED_KEYS.get(key.text):
            report.warning(key.place, f"'{key.text}' of {service.label} has no effect here: {why}", "")
        elif key.text not in READ_KEYS and key.text not in IGNORED_KEYS and not key.text.startswith("x-"):
            hint = (
                did_you_mean(key.text, (*READ_KEYS, *IGNORED_KEYS))
                or "remove it, or put it below a key that begins with 'x-'"
            )
            report.error(key.place, f"unknown key '{shown(key.text)}' in {service.label}", hint)


def _read_image(service: Service, fields: Mapping[str, Node], scope: Scope, report: Report) -> None:
    if "image" in fields:
        text = report.text(fields["image"], f"'image' of {service.label}")
        service.image = ScalarNode(fields["image"].place, text) if text else None
    if "build" in fields:
        service.build = read_build(fields["build"], service.label, scope.folder, scope.environment, report)
    if service.image is None and service.build is None:
        report.error(service.place, f"{service.label} has no image", "write image: NAME, or build: FOLDER")
    policy = report.text(fields["pull_policy"], f"'pull_policy' of {service.label}") if "pull_policy" in fields else ""
    if policy not in {"", "always", "missing", "if_not_present", "build"}:
        hint = "write always, missing or build"
        report.error(fields["pull_policy"].place, f"'pull_policy' of {service.label} cannot be '{shown(policy)}'", hint)
    service.pull = policy == "always"


def _read_program(service: Service, fields: Mapping[str, Node], report: Report) -> None:
    if "command" in fields:
        service.command = report.command(fields["command"], f"'command' of {service.label}")
    if "entrypoint" in fields:
        service.entrypoint = report.command(fields["entrypoint"], f"'entrypoint' of {service.label}")
    if "user" in fields:
        service.user = ScalarNode(fields["user"].place, report.text(fields["user"], f"'user' of {service.label}"))
    if "working_dir" in fields:
        node = fields["working_dir"]
        path = report.text(node, f"'working_dir' of {service.label}")
        if path and not path.startswith("/"):
            report.error(node.place, f"'working_dir' of {service.label} is not absolute", "write it from / on")
        service.directory = ScalarNode(node.place, path)


def _read_environment(service: Service, fields: Mapping[str, Node], scope: Scope, report: Report) -> None:
    """A name without a value has that of the step, a secret too; without one there the variable is not set.

    What stands in a file gives way to ``environment``.
    """
    if "env_file" in fields:
        service.environment = read_env_files(
            fields["env_file"], service.label, scope.folder, scope.environment, scope.read, report
        )
    if "environment" not in fields:
        return
    for key, value in report.pairs(fields["environment"], f"'environment' of {service.label}"):
        if not key.text:
            report.error(key.place, f"a variable of {service.label} has no name", _VARIABLE_WORDS)
        elif value is not None:
            service.environment[key.text] = key, ScalarNode(value.place, value.text)
        elif key.text in scope.environment:
            service.environment[key.text] = key, scope.environment[key.text]


def _read_names(service: Service, fields: Mapping[str, Node], scope: Scope, report: Report) -> None:
    names: list[ScalarNode] = []
    if "container_name" in fields:
        names.append(
            ScalarNode(fields["container_name"].place, report.text(fields["container_name"], "'container_name'"))
        )
    if "networks" in fields:
        names += _network_aliases(service, fields["networks"], scope, report)
    for name in names:
        if not HOST_NAME.fullmatch(name.text):
            hint = "use letters, digits, '-', '_' and '.'"
            report.error(name.place, f"{service.label} cannot be reached as '{shown(name.text)}'", hint)
    service.aliases = tuple(dict.fromkeys((service.name, *(name.text for name in names))))
    if "profiles" in fields:
        words = report.words(fields["profiles"], f"'profiles' of {service.label}")
        service.profiles = frozenset(word.text for word in words)
    if "scale" in fields and report.text(fields["scale"], f"'scale' of {service.label}") != "1":
        report.error(fields["scale"].place, f"{service.label} runs once here", "remove 'scale'")


def _network_aliases(service: Service, node: Node, scope: Scope, report: Report) -> list[ScalarNode]:
    """The names that a service has in its networks, which are one here."""
    what = f"'networks' of {service.label}"
    if not isinstance(node, MapNode):
        for word in report.words(node, what):
            _check_network(word, scope, report)
        return []
    found: list[ScalarNode] = []
    for key, value in node.entries:
        _check_network(key, scope, report)
        fields = report.only(value, ("aliases",), what)
        if "aliases" in fields:
            found += report.words(fields["aliases"], f"'aliases' of {service.label}")
    return found


def _check_network(name: ScalarNode, scope: Scope, report: Report) -> None:
    if name.text != "default" and name.text not in scope.networks:
        hint = did_you_mean(name.text, scope.networks) or "add it to 'networks' of the file"
        report.error(name.place, f"the network '{shown(name.text)}' is not in this file", hint)
