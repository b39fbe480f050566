"""Services of a job of GitLab CI."""

import re

from pipelines.importers.gitlab.conditions import text_values
from pipelines.importers.gitlab.variables import Variables
from pipelines.importers.images import base_name, entrypoint_of, is_docker_daemon
from pipelines.importers.keys import Keys, items_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.nodes import Node, ScalarNode

_PREFIXES = {
    "postgres": ("POSTGRES_", "PG"),
    "postgis": ("POSTGRES_", "PG"),
    "mysql": ("MYSQL_",),
    "mariadb": ("MYSQL_", "MARIADB_"),
    "mongo": ("MONGO_",),
    "rabbitmq": ("RABBITMQ_",),
    "redis": (),
    "memcached": (),
    "docker": ("DOCKER_",),
}
"""Which variables of a job a well-known service reads; another may read all."""


def services_of(node: Node | None, variables: Variables, remarks: Remarks) -> dict[str, Value]:
    """The services by the names that a job calls them."""
    found: dict[str, Value] = {}
    for item in items_of(node):
        if isinstance(item, ScalarNode):
            image, name, own = variables.text(item.text, item.place), "", dict[str, str]()
            service: dict[str, Value] = {}
        else:
            keys = Keys(item, remarks, "a service")
            image = variables.text(keys.text("name"), item.place)
            name = keys.text("alias").split(",")[0].split(" ")[0]
            own = text_values(keys.take("variables"))
            service = _command(keys, image, variables, remarks)
            keys.remark_rest()
        if not image:
            remarks.error(item.place, "a service has no image; it is left out")
            continue
        name = name or re.sub(r"[:@].*", "", image).replace("/", "-")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            name = (
                base_name(image) if re.fullmatch(r"[A-Za-z0-9][\w.-]*", base_name(image)) else f"service-{len(found)}"
            )
        service = {"image": image, **service}
        prefixes = _PREFIXES.get(base_name(image))
        given = {key: text for key, text in variables.own.items() if prefixes is None or key.startswith(prefixes)}
        environment: dict[str, Value] = {
            key: variables.text(text, item.place) for key, text in {**given, **own}.items()
        }
        if is_docker_daemon(image):
            service["privileged"] = True
            environment["DOCKER_TLS_CERTDIR"] = ""
        if environment:
            service["environment"] = environment
        found[name] = service
    return found


def _command(keys: Keys, image: str, variables: Variables, remarks: Remarks) -> dict[str, Value]:
    place = keys.place("command")
    command = [variables.text(word, place) for word in texts_of(keys.take("command"))]
    own = [Raw(word) for word in texts_of(keys.take("entrypoint"))]
    keys.take("pull_policy"), keys.take("docker")
    entrypoint: list[Value] = list(own) or entrypoint_of(image)
    if command and not entrypoint:
        hint = "write entrypoint: [PROGRAM, ARGUMENT, ...]"
        remarks.error(place, f"'command' of the service {image} are arguments that only the image knows", hint)
        return {}
    return {"entrypoint": [*entrypoint, *command]} if command or own else {}
