"""Services of a job, and how the job reaches them: on a runner as localhost, here by their names."""

import re
from collections.abc import Mapping

from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.images import entrypoint_of
from pipelines.importers.keys import Keys, entries_of, text_of, texts_of
from pipelines.importers.yaml_text import Value
from pipelines.syntax.nodes import Node

_HEALTH = re.compile(r"--health-cmd[= ](\"[^\"]*\"|'[^']*'|\S+)")
_LOCAL = r"(?:localhost|127\.0\.0\.1)"


class Services:
    """The services of a job. ``ports`` are the services by the port at which a runner publishes them."""

    def __init__(self, node: Node | None, texts: Texts) -> None:
        self._texts = texts
        self.ports: dict[str, tuple[str, str]] = {}
        self.found: dict[str, dict[str, Value]] = {}
        for key, value in entries_of(node):
            self._add(key.text, Keys(value, texts.remarks, f"service '{key.text}'"))

    def _add(self, name: str, keys: Keys) -> None:
        place = keys.place("image")
        image = self._texts.value(keys.text("image"), place)
        if not image:
            self._texts.remarks.error(place, f"{keys.where} has no image; it is left out")
            return
        service: dict[str, Value] = {"image": image}
        environment: dict[str, Value] = {}
        for key, value in entries_of(keys.take("env")):
            made = self._texts.environment(text_of(value), value.place)
            environment[key.text] = self._texts.value(text_of(value), value.place) if made is None else made
        if environment:
            service["environment"] = environment
        first = self._ports(name, texts_of(keys.take("ports")))
        service |= self._options(keys, first)
        if command := texts_of(keys.take("command")):
            service["entrypoint"] = [*entrypoint_of(image), *command]
        if keys.take("credentials") is not None:
            self._texts.remarks.note(keys.place("credentials"), "log in once on the server: headway registry login")
        keys.remark_rest()
        self.found[name] = service

    def _options(self, keys: Keys, first: str) -> dict[str, Value]:
        """How the service is ready, from its health command, else by its port."""
        service: dict[str, Value] = {}
        options = self._texts.value(keys.text("options"), keys.place("options"))
        if health := _HEALTH.search(options):
            service["ready"] = health[1][1:-1] if health[1][0] in "\"'" else health[1]
        elif first:
            service["ready"] = {"port": int(first)}
        rest = re.sub(r"--health-[a-z-]+[= ](?:\"[^\"]*\"|'[^']*'|\S+)|--name[= ]\S+", "", options).strip()
        if rest:
            self._texts.remarks.warning(keys.place("options"), f"the options {rest} of {keys.where} are left out")
        return service

    def _ports(self, name: str, ports: list[str]) -> str:
        """Notes the ports, and returns the first one of the container."""
        first = ""
        for text in ports:
            outside, _, inside = text.partition("/")[0].rpartition(":")
            if inside.isdigit():
                self.ports[outside.rpartition(":")[2] or inside] = (name, inside)
                first = first or inside
        return first

    def reached(self, text: str) -> str:
        """A text with the services' own names in place of localhost."""
        for port, (name, inside) in self.ports.items():
            text = re.sub(rf"{_LOCAL}:{port}(?!\d)", f"{name}:{inside}", text)
        if len(self.found) == 1:
            (name,) = self.found
            text = re.sub(rf"(?<=[@/]){_LOCAL}(?=/|$)", name, text)
        return text

    def reached_by(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Variables of the job, those that name a host by itself too."""
        found: dict[str, str] = {}
        for key, text in variables.items():
            changed = self.reached(text)
            if re.fullmatch(_LOCAL, changed.strip()) and self.found:
                names = [name for name in self.found if name.lower()[:2] == key.lower()[:2]] or list(self.found)
                changed = names[0]
            found[key] = changed
        return found

    @property
    def value(self) -> list[Value]:
        """The key ``services``."""
        return [{"name": name, **service} for name, service in self.found.items()]
