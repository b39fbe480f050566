"""Volumes of a Drone pipeline: temporary ones become caches of one run, those of the host stay."""

from typing import NamedTuple

from pipelines.importers.drone.caches import CHECKOUT
from pipelines.importers.images import is_docker_daemon
from pipelines.importers.keys import Keys, entries_of, items_of, text_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import MapNode, Node, ScalarNode

_SOCKET_FOLDERS = {"/var/run", "/run", "/var/run/docker.sock", "/run/docker.sock"}


class _Volume(NamedTuple):
    kind: str
    path: str
    read_only: bool = False


class Volumes:
    """The volumes of a pipeline. ``daemon`` is the service that runs a Docker daemon, empty if there is none."""

    def __init__(self, pipeline: Keys, remarks: Remarks) -> None:
        self._remarks = remarks
        self._known = dict(self._declared(item) for item in items_of(pipeline.take("volumes")))
        self._mounts = _mounts_of(pipeline)
        self.daemon = next(
            (text_of(each.by_key.get("name")) for each in _maps(pipeline.node, "services") if _runs_docker(each)), ""
        )

    def _declared(self, item: Node) -> tuple[str, _Volume]:
        keys = Keys(item, self._remarks, "a volume")
        name = keys.text("name")
        for kind in ("temp", "host", "claim", "config_map"):
            if keys.has(kind):
                inner = keys.take(kind)
                host = inner.by_key.get("path") if isinstance(inner, MapNode) else None
                found = _Volume(kind, text_of(host))
                keys.remark_rest()
                return name, found
        keys.remark_rest()
        return name, _Volume("temp", "")

    def mount(self, node: Node | None, result: dict[str, Value], *, is_service: bool) -> None:
        """Adds what stands for the volumes of one step or service to it."""
        paths: list[Value] = []
        caches: list[Value] = []
        for item in items_of(node):
            if isinstance(item, ScalarNode):  # version 0.8: HOST:CONTAINER
                self._trusted(item.place, item.text)
                paths.append(Raw(item.text))
            else:
                self._mount(item, result, paths, caches, is_service=is_service)
        if paths:
            result["volumes"] = paths
        if caches:
            result["cache"] = caches

    def _mount(
        self, item: Node, result: dict[str, Value], paths: list[Value], caches: list[Value], *, is_service: bool
    ) -> None:
        keys = Keys(item, self._remarks, "a mount")
        name, path = keys.text("name"), keys.text("path")
        read_only = keys.text("read_only").lower() == "true"
        keys.remark_rest()
        volume = self._known.get(name)
        if volume is None or volume.kind in {"claim", "config_map"}:
            self._remarks.error(item.place, f"the volume '{name}' is none of a Docker host; it is left out")
        elif volume.kind == "host":
            self._trusted(item.place, volume.path)
            paths.append(Raw(f"{volume.path}:{path}{':ro' if read_only else ''}"))
        elif path in _SOCKET_FOLDERS and self.daemon:
            self._socket(result, is_service=is_service)
        elif cache := self._temporary(item.place, name, path, is_service=is_service):
            caches.append(cache)

    def _trusted(self, place: Place, path: str) -> None:
        hint = "an administrator allows it with `headway repo trust`"
        self._remarks.warning(place, f"{path} of the host needs the repository to be trusted in volumes", hint)

    def _socket(self, result: dict[str, Value], *, is_service: bool) -> None:
        name, value = ("DOCKER_TLS_CERTDIR", "") if is_service else ("DOCKER_HOST", f"tcp://{self.daemon}:2375")
        known = result.get("environment")
        result["environment"] = {name: value, **(known if isinstance(known, dict) else {})}

    def _temporary(self, place: Place, name: str, path: str, *, is_service: bool) -> Value:
        if path.startswith(CHECKOUT) or not path.startswith("/") or self._mounts.get(name, 0) < 2:  # noqa: PLR2004
            self._remarks.note(place, f"the volume '{name}' is not needed: steps share the checkout")
            return ""
        if is_service:
            self._remarks.error(place, f"the service shares the volume '{name}' with steps; it is left out here")
            return ""
        text = f"the volume '{name}' is a cache of this run: untrusted runs, as of forks, have an empty folder"
        self._remarks.warning(place, text)
        return {"key": Raw(f"{name}-${{CI_PIPELINE_NUMBER}}"), "paths": [Raw(path)]}


def _maps(root: Node | None, key: str) -> list[MapNode]:
    value = root.by_key.get(key) if isinstance(root, MapNode) else None
    if isinstance(value, MapNode):
        return [each for _, each in entries_of(value) if isinstance(each, MapNode)]
    return [each for each in items_of(value) if isinstance(each, MapNode)]


def _runs_docker(service: MapNode) -> bool:
    return is_docker_daemon(text_of(service.by_key.get("image")))


def _mounts_of(pipeline: Keys) -> dict[str, int]:
    """How many steps and services mount each volume."""
    found: dict[str, int] = {}
    for holder in (*_maps(pipeline.node, "steps"), *_maps(pipeline.node, "services")):
        for mount in _maps(holder, "volumes"):
            name = text_of(mount.by_key.get("name"))
            found[name] = found.get(name, 0) + 1
    return found
