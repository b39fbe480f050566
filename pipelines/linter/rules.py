"""What runs, though perhaps not as its author thinks: the warnings and hints that lint alone gives."""

import re
from collections.abc import Iterator

from pipelines import platforms
from pipelines.compiler.build_plugins import is_wrapper, needs_docker, not_native, wrapped_platforms
from pipelines.compiler.checkout import is_git
from pipelines.compiler.jobs import RESERVED_LABELS
from pipelines.compiler.scope import Part, Scope
from pipelines.compiler.trust import keys_that_need_trust
from pipelines.linter.sample_triggers import named_events
from pipelines.model.base import Language
from pipelines.model.conditions import Condition
from pipelines.model.workflow import BuildStep, CommandsStep, PluginStep, PushStep, Service, Workflow
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.trigger import Event

# Images of well-known servers expose the port that they listen on: a service of one is ready when it accepts.
_EXPOSING = re.compile(
    r"postgres|postgis|timescaledb|pgvector|mysql|mariadb|percona|redis|valkey|keydb|dragonfly|memcached|mongo|mongodb"
    r"|rabbitmq|nats|kafka|zookeeper|elasticsearch|opensearch|solr|meilisearch|typesense|nginx|httpd|caddy|traefik"
    r"|minio|registry|vault|consul|etcd|influxdb|clickhouse|cassandra|couchdb|neo4j|mailhog|mailpit|keycloak|gitea"
)
_MAY_BE_EMPTY = frozenset({"name", "settings", "environment", "labels", "matrix", "variables", "$schema"})


def advise(scope: Scope) -> None:
    """Adds the warnings and hints about one workflow to its findings."""
    _workflow(scope)
    _empty_keys(scope, (), Workflow)
    for index, _ in enumerate(scope.workflow.when):
        _empty_keys(scope, ("when", index), Condition)
    for part in scope.parts():
        _empty_keys(scope, part.where, type(part.member))
        for index, _ in enumerate(part.member.when):
            _empty_keys(scope, (*part.where, "when", index), Condition)
        _secret(scope, part)
        if not isinstance(part.member, BuildStep | PushStep):
            _container(scope, part, part.member)
        if isinstance(part.member, Service):
            _service(scope, part, part.member)
        if isinstance(part.member, PluginStep) and is_wrapper(part.member):
            _wrapper(scope, part, part.member)
        _platforms(scope, part)
    _images(scope)
    _ports(scope)
    _same_names(scope)


def _workflow(scope: Scope) -> None:
    workflow, findings, root = scope.workflow, scope.findings, scope.located.root
    if workflow.skip_clone and workflow.clone:
        findings.warning(root.key_place("clone"), "'clone' has no effect beside skip_clone: true", "remove one of them")
    if workflow.runs_on:
        hint = "write when: [{status: [success, failure]}]"
        findings.hint(root.key_place("runs_on"), "'runs_on' is an old key", hint)
    for key, value in workflow.labels.items():
        if not value:
            place = scope.located.key_place("labels", key)
            findings.warning(place, f"the label '{key}' has no value and is not looked at", "give it one, or remove it")
        elif key.startswith(RESERVED_LABELS):
            place = scope.located.key_place("labels", key)
            findings.warning(place, f"the label '{key}' is reserved and is not looked at", "choose another name")
    matrix = root.by_key.get("matrix")
    if isinstance(matrix, MapNode) and isinstance(matrix.by_key.get("include"), ListNode) and len(matrix.entries) > 1:
        axes = ", ".join(f"'{key.text}'" for key, _ in matrix.entries if key.text != "include")
        message = f"beside 'include' the rest of the matrix has no effect, here {axes}"
        findings.warning(matrix.place, message, "write all combinations under 'include'")


def _empty_keys(scope: Scope, where: tuple[str | int, ...], kind: type[Language]) -> None:
    """Warns of keys that are written with nothing behind them: they count as not written."""
    node = scope.located.node(*where)
    if not isinstance(node, MapNode):
        return
    for key, value in node.entries:
        empty = isinstance(value, ScalarNode) and value.is_null
        if empty and key.text in kind.model_fields and key.text not in _MAY_BE_EMPTY | kind.may_be_nothing:
            message = f"'{key.text}' has nothing behind it and counts as not written"
            scope.findings.warning(key.place, message, "give it a value, or remove it")


def _secret(scope: Scope, part: Part) -> None:
    """Warns where pull requests would use a secret: those from forks get none."""
    explicit = [condition for condition in (*scope.workflow.when, *part.member.when) if condition.event]
    events = named_events(scope.workflow.when) & named_events(part.member.when)
    if Event.PULL_REQUEST not in events:
        return
    node = scope.located.node(*part.where)
    found = next(_secrets(node), None)
    if found is None:
        return
    place, name = found.place, found.text
    message = f"{part.label} uses the secret '{name}' and runs for pull requests; those from forks get no secrets"
    report = scope.findings.warning if explicit else scope.findings.hint
    report(place, message, "let it run for other events only: when: {event: [push, tag]}")


def _secrets(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, MapNode):
        build = node.by_key.get("build")
        if isinstance(build, MapNode) and isinstance(names := build.by_key.get("secrets"), ListNode):
            yield from (item for item in names.items if isinstance(item, ScalarNode))
        for key, value in node.entries:
            if key.text == "from_secret" and isinstance(value, ScalarNode):
                yield value
            else:
                yield from _secrets(value)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _secrets(item)


Containered = CommandsStep | PluginStep | Service


def _container(scope: Scope, part: Part, member: Containered) -> None:
    findings, located = scope.findings, scope.located
    for key, trust in keys_that_need_trust(member):
        message = f"'{key}' in {part.label} runs only where the repository is trusted in '{trust}'"
        findings.hint(located.key_place(*part.where, key), message, "an administrator gives this trust")
    plugin = member if isinstance(member, PluginStep) and member.settings and member.environment else None
    if plugin and not scope.is_plugin(plugin, *part.where):
        message = f"with 'environment' {part.label} is no plugin any more: it gets no DRONE_* variables"
        findings.warning(located.key_place(*part.where, "environment"), message, "move the values to 'settings'")
    if member.ports and not isinstance(member, Service):
        findings.warning(located.key_place(*part.where, "ports"), f"'ports' has no effect in {part.label}", "remove it")


def _wrapper(scope: Scope, part: Part, step: PluginStep) -> None:
    """Warns where a plugin that wraps ``docker build`` runs as it is, for it starts a Docker of its own then."""
    reason = not_native(step)
    if reason and step.settings and needs_docker(step) and not step.privileged and not step.volumes:
        message = f"{part.label} runs the plugin itself, which starts a Docker of its own: {reason}"
        hint = "remove that, or write privileged: true where the repository is trusted in 'security'"
        scope.findings.warning(scope.place(*part.where), message, hint)


def _platforms(scope: Scope, part: Part) -> None:
    """Hints at what an image of several platforms needs."""
    match part.member:
        case BuildStep() if platforms.are_several(part.member.build.platforms):
            place = scope.place(*part.where, "build", "platforms")
        case PluginStep() if platforms.are_several(wrapped_platforms(part.member)):
            place = scope.place(*part.where, "settings")
        case _:
            return
    scope.findings.hint(place, platforms.NEED, platforms.REMEDY)


def _images(scope: Scope) -> None:
    """Hints at images without a version, each once. Those that native steps stand for are never pulled."""
    seen: set[str] = set()
    for part in scope.parts():
        member = part.member
        if isinstance(member, BuildStep | PushStep) or (part.group == "clone" and is_git(member)):
            continue
        if isinstance(member, PluginStep) and is_wrapper(member) and not not_native(member):
            continue
        image = member.image.name if member.image else ""
        if image and image not in seen and (unpinned := _unpinned(image)):
            place = scope.place(*part.where, "image")
            scope.findings.hint(place, f"the image '{image}' {unpinned}", "name a version")
        seen.add(image)


def _unpinned(image: str) -> str:
    if "@" in image or "$" in image:
        return ""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if tag == "latest":
        return "is another one from day to day"
    return "" if colon else "has no version, so it is another one from day to day"


def _service(scope: Scope, part: Part, service: Service) -> None:
    if service.failure == "cancel":
        place = scope.place(*part.where, "failure")
        scope.findings.warning(place, "'failure: cancel' of a service counts as 'fail'", "write fail, or ignore")
    base = service.image.name.rpartition("/")[2].partition(":")[0].partition("@")[0] if service.image else ""
    if service.ready is None and base and not _EXPOSING.fullmatch(base):
        message = f"{part.label} does not say when it is ready"
        hint = "without 'ready' its image's HEALTHCHECK counts, else the ports that it exposes, else nothing"
        scope.findings.hint(scope.place(*part.where), message, hint)


def _ports(scope: Scope) -> None:
    """Two services on one port: they clash on the host's network, and elsewhere a client must name the right one."""
    seen: dict[int, Service] = {}
    for index, service in enumerate(scope.workflow.services):
        ports = [_port(text) for text in service.ports] + [service.ready.port if service.ready else None]
        for port in dict.fromkeys(port for port in ports if port):
            other = seen.setdefault(port, service)
            if other is service:
                continue
            place = scope.place("services", index)
            both = f"services '{other.name}' and '{service.name}' both listen on port {port}"
            if service.network_mode == other.network_mode == "host":
                scope.findings.warning(place, f"{both} of the host, which only one can", "remove network_mode from one")
            else:
                hint = f"that works, at {other.name}:{port} and {service.name}:{port}"
                scope.findings.hint(place, both, hint)


def _port(text: str) -> int | None:
    number = re.search(r"([0-9]{1,5})(?:/[a-z]+)?$", text)
    return int(number[1]) if number else None


def _same_names(scope: Scope) -> None:
    if any(step.depends_on is not None for step in scope.workflow.steps):
        return  # there it is an error
    seen: set[str] = set()
    for part in scope.parts():
        name = part.member.name
        if part.group == "steps" and name and name in seen:
            message = f"two steps are named '{name}', so their logs are hard to tell apart"
            scope.findings.hint(scope.place(*part.where, "name"), message, "give them different names")
        seen.add(name)
