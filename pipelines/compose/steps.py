"""The services of a Compose file as steps of the workflow: builds, detached steps, and those that run to their end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pipelines.compose.health import Health
from pipelines.compose.service import Service
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode

OF_LAST = ("timeout", "retry", "artifacts", "reports")
"""Keys of the Compose step that belong to the service that runs to its end."""
_Entries = list[tuple[ScalarNode, Node]]


class ComposeStep(NamedTuple):
    """The step as it is written: ``item``, and of ``compose`` what its services get.

    ``number`` tells the volumes of several Compose steps of a file apart. With ``graph`` the file has ``depends_on``.
    """

    name: str
    number: int
    item: MapNode
    images: Mapping[str, Node]
    command: tuple[ScalarNode, ...] | None
    detach: bool
    graph: bool


def steps_of(step: ComposeStep, services: Sequence[Service]) -> list[MapNode]:
    """The steps in the order in which they run: first the builds, then each service after those that it waits for."""
    return _Steps(step, services).all()


class _Steps:
    def __init__(self, step: ComposeStep, services: Sequence[Service]) -> None:
        self._step, self._services = step, services
        self._builds: dict[tuple[object, ...], str] = {}
        self._images: dict[str, str] = {}

    def all(self) -> list[MapNode]:
        builds = [made for service in self._services if (made := self._build(service))]
        return [*builds, *(self._service(service) for service in self._services)]

    def _name(self, service: Service) -> str:
        return self._step.name if service.role == "last" else f"{self._step.name}/{service.name}"

    def _build(self, service: Service) -> MapNode | None:
        """The build step for a service, unless it has another image, or one with the same keys is there."""
        if service.build is None or service.name in self._step.images:
            return None
        key = _as_key(service.build)
        known = self._builds.get(key)
        name = self._builds[key] = known or f"{self._step.name}/{service.name} build"
        if service.image is not None:
            self._images[service.image.text] = name
        if known:
            return None
        place = service.build.place
        entries = [_entry(place, "name", ScalarNode(place, name)), _entry(place, "build", service.build)]
        return MapNode(place, (*entries, *self._copied("when", "failure"), *self._needs(place, ())))

    def _service(self, service: Service) -> MapNode:
        place, is_last = service.place, service.role == "last"
        entries: _Entries = [
            _entry(place, "name", ScalarNode(place, self._name(service))),
            _entry(place, "image", self._image(service)),
            _entry(place, "compose", self._own(service)),
        ]
        entries += _container_keys(service)
        entries += self._copied("when", "failure", *(OF_LAST if is_last else ()))
        before = [each for each in self._services if each.name in service.needs or (is_last and each is not service)]
        return MapNode(place, (*entries, *self._needs(place, before)))

    def _image(self, service: Service) -> Node:
        if given := self._step.images.get(service.name):
            return given
        build = self._builds.get(_as_key(service.build)) if service.build else None
        build = build or (self._images.get(service.image.text) if service.image else None)
        if build is None:
            return service.image or ScalarNode(service.place, "")
        place = service.build.place if service.build else service.place
        return MapNode(place, (_entry(place, "build", ScalarNode(place, build)),))

    def _own(self, service: Service) -> MapNode:
        """What only services of a Compose file have."""
        place, step = service.place, self._step
        entries: _Entries = [_entry(place, "project", ScalarNode(place, step.name))]
        command = step.command if service.role == "last" and step.command is not None else service.command
        if command is not None:
            entries.append(_entry(place, "command", ListNode(place, command)))
        if service.role == "beside":
            entries.append(_entry(place, "aliases", _texts(place, service.aliases)))
            health = service.health or Health()
            if health.words is not None:
                check = (
                    _entry(place, "words", _texts(place, health.words)),
                    _entry(place, "seconds", ScalarNode(place, str(health.seconds))),
                )
                entries.append(_entry(place, "health", MapNode(place, check)))
        volumes = [
            MapNode(
                each.place,
                (
                    _entry(each.place, "name", ScalarNode(each.place, each.name and f"{step.number}-{each.name}")),
                    _entry(each.place, "path", ScalarNode(each.place, each.path)),
                    _entry(each.place, "read_only", ScalarNode(each.place, str(each.read_only).lower())),
                    _entry(each.place, "checkout", ScalarNode(each.place, each.checkout)),
                ),
            )
            for each in service.mounts.volumes
        ]
        entries.append(_entry(place, "volumes", ListNode(place, tuple(volumes))))
        return MapNode(place, tuple(entries))

    def _copied(self, *keys: str) -> _Entries:
        return [(key, value) for key, value in self._step.item.entries if key.text in keys]

    def _needs(self, place: Place, before: Iterable[Service]) -> _Entries:
        """What a step waits for: nothing to write where the order of the file says it."""
        written = self._step.item.by_key.get("depends_on")
        names: list[Node] = [ScalarNode(place, self._name(each)) for each in before]
        if not self._step.graph:
            return []
        if isinstance(written, ListNode):
            names += written.items
        elif written is not None and not (isinstance(written, ScalarNode) and written.is_null):
            names.append(written)
        return [_entry(place, "depends_on", ListNode(place, tuple(names)))] if names else []


def _container_keys(service: Service) -> _Entries:
    """The keys that other steps with a container have as well."""
    place, tmpfs = service.place, service.mounts.tmpfs
    docker = MapNode(place, (_entry(place, "user", service.user),)) if service.user is not None else None
    keys: dict[str, Node | None] = {
        "pull": ScalarNode(place, "true") if service.pull else None,
        "environment": MapNode(place, tuple(service.environment.values())) if service.environment else None,
        "entrypoint": ListNode(place, service.entrypoint) if service.entrypoint is not None else None,
        "directory": service.directory,
        "resources": service.resources,
        "tmpfs": ListNode(place, tmpfs) if tmpfs else None,
        "backend_options": MapNode(place, (_entry(place, "docker", docker),)) if docker else None,
        "detach": ScalarNode(place, "true") if service.role == "beside" else None,
    }
    return [_entry(place, key, node) for key, node in keys.items() if node is not None]


def _entry(place: Place, key: str, value: Node) -> tuple[ScalarNode, Node]:
    return ScalarNode(place, key), value


def _texts(place: Place, texts: Sequence[str]) -> ListNode:
    return ListNode(place, tuple(ScalarNode(place, text) for text in texts))


def _as_key(node: Node) -> tuple[object, ...]:
    """The content of a build, to compare it with that of others: a map of texts and maps of texts."""
    if isinstance(node, MapNode):
        return tuple((key.text, _as_key(value)) for key, value in node.entries)
    return (node.text,) if isinstance(node, ScalarNode) else ()
