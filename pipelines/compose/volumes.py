"""``volumes`` and ``tmpfs`` of a Compose service: volumes of the job, and copies of what the checkout has.

No folder of the host is ever mounted, and none of the checkout either: a step could put a link in its place before the
engine follows it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from posixpath import join, normpath
from typing import NamedTuple

from pipelines.compose.keys import HOST_HINT
from pipelines.compose.report import Report, shown
from pipelines.syntax.diagnostics import Place, did_you_mean
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
PATH_BYTES_MAX = 255
_NOT_IN_A_PATH = re.compile(r"[:,\"\\]")
_FOLDER = "name a folder of its own in the container, such as /var/lib/data"
_MODES = frozenset({"", "ro", "rw", "z", "Z", "cached", "delegated", "consistent"})
"""Of the short form. All but ``ro`` change nothing here: labels for SELINUX are set, and the others are for macOS."""
_LONG_KEYS = ("type", "source", "target", "read_only", "bind", "volume", "consistency")
_OF_KIND = {"bind": ("create_host_path", "propagation", "selinux"), "volume": ("nocopy",)}
"""What has no effect, because a volume of the job begins empty, and a copy is never seen from outside."""


class Mount(NamedTuple):
    """A volume in a container. Without a name it is the container's own; ``checkout`` is what it is a copy of."""

    place: Place
    name: str
    path: str
    read_only: bool = False
    checkout: str = ""


@dataclass(frozen=True)
class Mounts:
    """What is mounted in a container."""

    volumes: tuple[Mount, ...] = ()
    tmpfs: tuple[ScalarNode, ...] = ()


class MountScope(NamedTuple):
    """What mounts may name: the volumes of the file, and paths from its folder on."""

    volumes: frozenset[str]
    folder: str


def read_mounts(fields: Mapping[str, Node], label: str, scope: MountScope, report: Report) -> Mounts:
    """The mounts of a service."""
    reader = _Reader(f"'volumes' of {label}", scope, report)
    node = fields.get("volumes")
    if node is not None and not isinstance(node, ListNode):
        report.error(node.place, f"{reader.what} is a list", "write one volume a line, each behind '- '")
    for item in node.items if isinstance(node, ListNode) else ():
        if isinstance(item, MapNode):
            reader.long(item)
        else:
            reader.short(item)
    if "tmpfs" in fields:
        reader.tmpfs += report.words(fields["tmpfs"], f"'tmpfs' of {label}")
    return Mounts(tuple(reader.volumes), tuple(ScalarNode(each.place, each.text) for each in reader.tmpfs))


class _Reader:
    def __init__(self, what: str, scope: MountScope, report: Report) -> None:
        self.what = what
        self.volumes: list[Mount] = []
        self.tmpfs: list[ScalarNode] = []
        self._scope, self._report = scope, report

    def short(self, item: Node) -> None:
        """``NAME:/path[:ro]``, ``./path:/path[:ro]``, or ``/path`` alone."""
        text = self._report.text(item, f"an item of {self.what}")
        if not text:
            return
        source, _, rest = text.partition(":")
        path, _, modes = rest.partition(":")
        if not rest:
            self._add(Mount(item.place, "", source))
            return
        words = modes.split(",")
        if wrong := next((word for word in words if word not in _MODES), None):
            message = f"the mode '{shown(wrong)}' in {self.what} is not supported"
            self._report.error(item.place, message, "write ro, or remove it")
        mount = Mount(item.place, source, path, "ro" in words)
        if source.startswith((".", "/", "~")):
            self._add_copy(mount)
        else:
            self._add_named(mount)

    def long(self, item: MapNode) -> None:
        """A map with ``type``."""
        fields = self._report.only(item, _LONG_KEYS, self.what)
        words = {
            key: self._report.text(fields[key], f"'{key}' in {self.what}") if key in fields else ""
            for key in ("type", "source", "target")
        }
        for key, known in _OF_KIND.items():
            if key in fields:
                self._report.only(fields[key], known, f"'{key}' in {self.what}")
        read_only = "read_only" in fields and self._report.flag(fields["read_only"], f"'read_only' in {self.what}")
        mount = Mount(item.place, words["source"], words["target"], read_only)
        match words["type"]:
            case "tmpfs":
                if self._has_path(mount):
                    self.tmpfs.append(ScalarNode(item.place, mount.path))
            case "bind":
                self._add_copy(mount)
            case "volume" if mount.name:
                self._add_named(mount)
            case "volume":
                self._add(mount)
            case kind:
                message = f"{self.what}: the type '{shown(kind)}' is not supported"
                self._report.error(item.place, message, "write volume, bind or tmpfs")

    def _add_named(self, mount: Mount) -> None:
        if not VOLUME_NAME.fullmatch(mount.name):
            message = f"{self.what} mounts '{shown(mount.name)}', which is not a volume of this file"
            self._report.error(mount.place, message, HOST_HINT)
        elif mount.name not in self._scope.volumes:
            hint = did_you_mean(mount.name, self._scope.volumes) or "add it to 'volumes' of the file"
            self._report.error(mount.place, f"the volume '{shown(mount.name)}' is not in this file", hint)
        else:
            self._add(mount)

    def _add_copy(self, mount: Mount) -> None:
        """Of a path in the checkout. Services that name the same one share the copy."""
        source = normpath(join(self._scope.folder, mount.name))
        outside = mount.name.startswith("~") or source.startswith("/") or source.split("/")[0] == ".."
        if outside or not source.isprintable() or len(source.encode()) > PATH_BYTES_MAX:
            message = f"{self.what} mounts '{shown(mount.name)}', which is not in the repository"
            self._report.error(mount.place, message, HOST_HINT)
        else:
            # "~" cannot stand in the name of another volume.
            name = f"~{sha256(source.encode()).hexdigest()[:16]}"
            self._add(mount._replace(name=name, checkout=source))

    def _add(self, mount: Mount) -> None:
        if self._has_path(mount):
            self.volumes.append(mount._replace(path=normpath(mount.path)))

    def _has_path(self, mount: Mount) -> bool:
        """Reports a path that no volume can have. Which others it may not hide is known when the job is planned."""
        path = mount.path
        wrong = (
            not path.startswith("/")
            or path.startswith("//")
            or normpath(path) == "/"
            or not path.isprintable()
            or _NOT_IN_A_PATH.search(path)
            or len(path.encode()) > PATH_BYTES_MAX
        )
        if wrong:
            self._report.error(mount.place, f"{self.what} cannot be mounted at '{shown(path)}'", _FOLDER)
        return not wrong
