"""The services that tests need: those of a Compose file, else those that a sample of the environment names."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.importers.keys import entries_of, text_of
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.nodes import MapNode
from pipelines.syntax.yaml import parse_documents
from runner.cli.init.repository import Repository


class _Known(NamedTuple):
    """A well-known service: its image, when it is ready, and what its image needs to start."""

    image: str
    ready: Value
    environment: Mapping[str, str] = {}


_KNOWN = {
    "postgres": _Known("postgres:17", "pg_isready -U postgres", {"POSTGRES_PASSWORD": "test"}),
    "mysql": _Known("mysql:8.4", {"port": 3306}, {"MYSQL_ROOT_PASSWORD": "test", "MYSQL_DATABASE": "test"}),
    "mariadb": _Known("mariadb:11", {"port": 3306}, {"MARIADB_ROOT_PASSWORD": "test", "MARIADB_DATABASE": "test"}),
    "redis": _Known("redis:7", "redis-cli ping"),
    "valkey": _Known("valkey/valkey:8", "valkey-cli ping"),
    "mongo": _Known("mongo:8", {"port": 27017}),
    "rabbitmq": _Known("rabbitmq:4", {"port": 5672}),
    "memcached": _Known("memcached:1", {"port": 11211}),
}
_SCHEMES = {
    "postgres": ("postgres", "postgres:test@{}/postgres"),
    "postgresql": ("postgres", "postgres:test@{}/postgres"),
    "mysql": ("mysql", "root:test@{}/test"),
    "redis": ("redis", "{}:6379/0"),
    "mongodb": ("mongo", "{}:27017/test"),
    "amqp": ("rabbitmq", "guest:guest@{}:5672/"),
}
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
SAMPLES = (".env.example", ".env.sample", ".env.test", ".env.dist", "env.example", ".env.template")
_LINE = re.compile(r"(?m)^(?:export )?([A-Z][A-Z0-9_]*)=[\"']?(\w+)(\+\w+)?://")


class Services(NamedTuple):
    """The services, and the variables by which steps find them."""

    services: list[dict[str, Value]]
    environment: dict[str, Value]


def find(repository: Repository) -> Services:
    """The services that the repository names."""
    names: dict[str, str] = {}
    found: list[dict[str, Value]] = []
    for name, image in _in_compose(repository).items():
        kind = _kind_of(image)
        if kind and kind not in names:
            names[kind] = name
            found.append(_service(name, _KNOWN[kind], image))
    environment: dict[str, Value] = {}
    for variable, scheme, driver in (found for path in SAMPLES for found in _LINE.findall(repository.text(path))):
        if scheme not in _SCHEMES or variable in environment:
            continue
        kind, rest = _SCHEMES[scheme]
        if kind not in names:
            names[kind] = kind
            found.append(_service(kind, _KNOWN[kind], ""))
        environment[variable] = Raw(f"{scheme}{driver}://{rest.format(names[kind])}")
    return Services(found, environment)


def _in_compose(repository: Repository) -> dict[str, str]:
    """The images of the services of a Compose file; none of one that cannot be read."""
    path = next((path for path in COMPOSE if repository.has(path)), "")
    documents = parse_documents(repository.text(path), Diagnostics(path))
    root = documents[0] if documents else None
    services = root.by_key.get("services") if isinstance(root, MapNode) else None
    return {
        key.text: text_of(value.by_key.get("image"))
        for key, value in entries_of(services)
        if isinstance(value, MapNode) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", key.text)
    }


def _kind_of(image: str) -> str:
    name = re.sub(r"[:@].*", "", image.rpartition("/")[2])
    aliases = {"postgis": "postgres", "pgvector": "postgres", "timescaledb": "postgres", "percona": "mysql"}
    return name if name in _KNOWN else aliases.get(name, "")


def _service(name: str, known: _Known, image: str) -> dict[str, Value]:
    is_plain = image and "$" not in image
    made: dict[str, Value] = {"name": name, "image": Raw(image) if is_plain else known.image}
    if known.environment:
        made["environment"] = dict[str, Value](known.environment)
    return {**made, "ready": known.ready}
