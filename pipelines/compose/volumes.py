"""``volumes`` and ``tmpfs`` of a Compose service: volumes of the job. No folder of the host is ever mounted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import NamedTuple

from pipelines.compose.keys import BIND_HINT
from pipelines.compose.report import Report, shown
from pipelines.syntax.diagnostics import Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
PATH_BYTES_MAX = 255
_NOT_IN_A_PATH = re.compile(r"[:,\"\\]")
_FOLDER = "name a folder of its own in the container, such as /var/lib/data"


class Mount(NamedTuple):
    """A volume of the file in a container."""

    place: Place
    name: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class Mounts:
    """What is mounted in a container."""

    volumes: tuple[Mount, ...] = ()
    tmpfs: tuple[ScalarNode, ...] = ()


def read_mounts(fields: Mapping[str, Node], label: str, known: frozenset[str], report: Report) -> Mounts:
    """The mounts of a service. ``known`` are the volumes of the file. One without a name is the container's own."""
    node = fields.get("volumes")
    what = f"'volumes' of {label}"
    items = node.items if isinstance(node, ListNode) else ()
    if node is not None and not isinstance(node, ListNode):
        report.error(node.place, f"{what} is a list", "write one volume a line, each behind '- '")
    volumes: list[Mount] = []
    tmpfs: list[ScalarNode] = []
    for item in items:
        if isinstance(item, MapNode):
            _long(item, what, known, report, volumes, tmpfs)
        else:
            _short(item, what, known, report, volumes)
    if "tmpfs" in fields:
        tmpfs += report.words(fields["tmpfs"], f"'tmpfs' of {label}")
    return Mounts(tuple(volumes), tuple(ScalarNode(each.place, each.text) for each in tmpfs))


def _short(item: Node, what: str, known: frozenset[str], report: Report, volumes: list[Mount]) -> None:
    """``NAME:/path[:ro]``, or ``/path`` alone."""
    text = report.text(item, f"an item of {what}")
    if not text:
        return
    source, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not rest:
        _check_path(source, item.place, what, report)
        return
    if mode not in {"", "ro", "rw"}:
        report.error(item.place, f"the mode '{shown(mode)}' in {what} is not supported", "write ro, or remove it")
    _add(Mount(item.place, source, path, mode == "ro"), what, known, report, volumes)


def _long(
    item: MapNode, what: str, known: frozenset[str], report: Report, volumes: list[Mount], tmpfs: list[ScalarNode]
) -> None:  # fmt: skip
    fields = report.only(item, ("type", "source", "target", "read_only"), what)
    kind = report.text(fields["type"], f"'type' in {what}") if "type" in fields else ""
    path = report.text(fields["target"], f"'target' in {what}") if "target" in fields else ""
    source = report.text(fields["source"], f"'source' in {what}") if "source" in fields else ""
    read_only = "read_only" in fields and report.flag(fields["read_only"], f"'read_only' in {what}")
    if kind == "tmpfs":
        _check_path(path, item.place, what, report)
        tmpfs.append(ScalarNode(item.place, path))
    elif kind == "volume" and source:
        _add(Mount(item.place, source, path, read_only), what, known, report, volumes)
    elif kind == "volume":
        _check_path(path, item.place, what, report)
    else:
        report.error(item.place, f"{what}: the type '{shown(kind)}' is not supported", BIND_HINT)


def _add(mount: Mount, what: str, known: frozenset[str], report: Report, volumes: list[Mount]) -> None:
    if not VOLUME_NAME.fullmatch(mount.name):
        message = f"{what} mounts '{shown(mount.name)}', which is not a volume of this file"
        report.error(mount.place, message, BIND_HINT)
    elif mount.name not in known:
        hint = did_you_mean(mount.name, known) or "add it to 'volumes' of the file"
        report.error(mount.place, f"the volume '{shown(mount.name)}' is not in this file", hint)
    elif _check_path(mount.path, mount.place, what, report):
        volumes.append(mount._replace(path=normpath(mount.path)))


def _check_path(path: str, place: Place, what: str, report: Report) -> bool:
    """Reports a path that no volume can have. Which others it may not hide is known when the job is planned."""
    wrong = (
        not path.startswith("/")
        or path.startswith("//")
        or normpath(path) == "/"
        or not path.isprintable()
        or _NOT_IN_A_PATH.search(path)
        or len(path.encode()) > PATH_BYTES_MAX
    )
    if wrong:
        report.error(place, f"{what} cannot be mounted at '{shown(path)}'", _FOLDER)
    return not wrong
