"""Reads a Compose file: its services, and which of them run."""

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.compose.env_files import ReadFile, with_defaults
from pipelines.compose.interpolation import Interpolator
from pipelines.compose.keys import EXTENSION, IGNORED_TOP_KEYS, REFUSED_TOP_KEYS, TOP_KEYS
from pipelines.compose.order import Choice, choose_services
from pipelines.compose.report import Report, shown
from pipelines.compose.service import Scope, Service, read_service
from pipelines.compose.volumes import VOLUME_NAME
from pipelines.interpolation.parser import Source
from pipelines.syntax.diagnostics import Diagnostics, Place, did_you_mean
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

SERVICES_COUNT_MAX = 50  # of one Compose file
_VOLUME_KEYS = ("driver", "labels")
_NETWORK_KEYS = ("driver", "labels", "attachable", "enable_ipv4")
_OWN_VOLUME = "a volume is a folder of the job: remove the key"
_OWN_NETWORK = "all services are in the network of the job: remove the key"


class Asked(NamedTuple):
    """What the step says of the file at ``path``; its ``.env`` is ``defaults``. ``read`` reads files that it names."""

    path: str
    place: Place
    choice: Choice
    environment: Mapping[str, Node]
    read: ReadFile
    defaults: Source | None = None


def read_project(root: Node | None, asked: Asked, diagnostics: Diagnostics) -> list[Service] | None:
    """The services that run, in an order in which they can start. None after an error."""
    defaults = _report(asked.environment, diagnostics)
    environment = with_defaults(asked.environment, asked.defaults, defaults)
    report = _report(environment, diagnostics)
    report.failed = defaults.failed
    if not isinstance(root, MapNode) or not isinstance(root.by_key.get("services"), MapNode):
        place = asked.place if root is None else root.place
        report.error(place, "a Compose file is a map with 'services'", "look at the path")
        return None
    _check_top(root, report)
    top = {name: report.filled(node) for name, node in root.by_key.items() if name in TOP_KEYS}
    scope = Scope(
        frozenset(_volumes(top.get("volumes"), report)),
        frozenset(_networks(top.get("networks"), report)),
        asked.path.rpartition("/")[0],
        environment,
        asked.read,
    )
    nodes = top["services"]
    entries = nodes.entries if isinstance(nodes, MapNode) else ()
    if not entries:
        report.error(nodes.place, "this Compose file has no services", "add one below 'services'")
    if len(entries) > SERVICES_COUNT_MAX:
        message = f"this file has {len(entries)} services, and a Compose step runs at most {SERVICES_COUNT_MAX}"
        report.error(nodes.place, message, "make it smaller")
        return None
    services = [read_service(name, node, scope, report) for name, node in entries]
    if report.failed:
        return None
    return choose_services(services, asked.choice, asked.place, report) or None


def _report(environment: Mapping[str, Node], diagnostics: Diagnostics) -> Report:
    """Fills in the variables of this environment; one that is no text is a secret."""
    values = {name: node.text for name, node in environment.items() if isinstance(node, ScalarNode)}
    return Report(diagnostics, Interpolator(values, environment.keys() - values.keys()))


def _check_top(root: MapNode, report: Report) -> None:
    for key, _ in root.entries:
        if hint := REFUSED_TOP_KEYS.get(key.text):
            report.error(key.place, f"'{key.text}' of a Compose file is not supported", hint)
        elif key.text not in (*TOP_KEYS, *IGNORED_TOP_KEYS) and not key.text.startswith(EXTENSION):
            hint = did_you_mean(key.text, TOP_KEYS) or "remove it, or let it begin with 'x-'"
            report.error(key.place, f"unknown key '{shown(key.text)}' in this Compose file", hint)


def _volumes(node: Node | None, report: Report) -> list[str]:
    found = []
    for key, value in node.entries if isinstance(node, MapNode) else ():
        what = f"the volume '{shown(key.text)}'"
        fields = report.only(value, _VOLUME_KEYS, what, _OWN_VOLUME)
        if "driver" in fields and report.text(fields["driver"], f"'driver' of {what}") != "local":
            report.error(fields["driver"].place, f"'driver' of {what} can only be local", _OWN_VOLUME)
        if not VOLUME_NAME.fullmatch(key.text):
            report.error(key.place, f"a volume cannot be named '{shown(key.text)}'", "use letters, digits and . _ -")
        found.append(key.text)
    return found


def _networks(node: Node | None, report: Report) -> list[str]:
    found = []
    for key, value in node.entries if isinstance(node, MapNode) else ():
        what = f"the network '{shown(key.text)}'"
        fields = report.only(value, _NETWORK_KEYS, what, _OWN_NETWORK)
        if "driver" in fields and report.text(fields["driver"], f"'driver' of {what}") != "bridge":
            report.error(fields["driver"].place, f"'driver' of {what} can only be bridge", _OWN_NETWORK)
        found.append(key.text)
    return found
