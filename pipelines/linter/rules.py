"""The rules of the linter: warnings and hints about workflows that run, but perhaps not as their authors expect."""

import re
from collections.abc import Iterable, Iterator
from posixpath import normpath

from pipelines.compiler.checkout import is_git
from pipelines.compiler.job_input import JobInput, WorkflowItem
from pipelines.compiler.jobs import RESERVED_LABELS
from pipelines.compiler.plugins.build_plugins import is_build_plugin, starts_docker, why_not_native
from pipelines.compiler.steps import dockerfiles, leads_out
from pipelines.images import cache_export
from pipelines.images.host_options import build_keys, container_keys
from pipelines.images.image_names import why_no_image
from pipelines.linter.build_platforms import check_platforms
from pipelines.linter.sample_triggers import named_events
from pipelines.model.base import PipelineModel
from pipelines.model.conditions import Condition
from pipelines.model.workflow import Build, BuildStep, CommandsStep, PluginStep, PushStep, Service, Workflow
from pipelines.syntax.diagnostics import Place
from pipelines.syntax.nodes import ListNode, MapNode, Node, ScalarNode
from pipelines.trigger import Event
from pipelines.visible import visible_line

# Well-known server images EXPOSE the port that they listen on: such a service is ready when its port accepts.
_EXPOSING = re.compile(
    r"postgres|postgis|timescaledb|pgvector|mysql|mariadb|percona|redis|valkey|keydb|dragonfly|memcached|mongo|mongodb"
    r"|rabbitmq|nats|kafka|zookeeper|elasticsearch|opensearch|solr|meilisearch|typesense|nginx|httpd|caddy|traefik"
    r"|minio|registry|vault|consul|etcd|influxdb|clickhouse|cassandra|couchdb|neo4j|mailhog|mailpit|keycloak|gitea"
)
_MAY_BE_EMPTY = frozenset({"name", "settings", "environment", "labels", "matrix", "variables", "$schema"})


def apply_rules(job: JobInput) -> None:
    """Adds the warnings and hints about one workflow to its diagnostics."""
    _workflow(job)
    _empty_keys(job, (), Workflow)
    for index, _ in enumerate(job.workflow.when):
        _empty_keys(job, ("when", index), Condition)
    for item in job.items():
        _empty_keys(job, item.where, type(item.model))
        for index, _ in enumerate(item.model.when):
            _empty_keys(job, (*item.where, "when", index), Condition)
        _secret(job, item)
        if not isinstance(item.model, BuildStep | PushStep):
            _container(job, item, item.model)
        if isinstance(item.model, BuildStep):
            _needs_trust(job, build_keys(item.model.build), item, "build")
            _dockerfile(job, item, item.model.build)
        if isinstance(item.model, Service):
            _service(job, item, item.model)
        if isinstance(item.model, PluginStep) and is_build_plugin(item.model):
            _build_plugin(job, item, item.model)
        check_platforms(job, item)
        _cache_export(job, item)
    _images(job)
    _ports(job)
    _same_names(job)


def _workflow(job: JobInput) -> None:
    workflow, diagnostics, root = job.workflow, job.diagnostics, job.located.root
    if workflow.skip_clone and workflow.clone:
        diagnostics.warning(
            root.key_place("clone"), "'clone' has no effect beside skip_clone: true", "remove one of them"
        )
    if workflow.runs_on:
        statuses = f"status: [{', '.join(workflow.runs_on)}]"
        hint = f"add {statuses} to every condition of 'when'" if workflow.when else f"write when: [{{{statuses}}}]"
        diagnostics.hint(root.key_place("runs_on"), "'runs_on' is an old key", hint)
    for key, value in workflow.labels.items():
        if not value:
            place = job.located.key_place("labels", key)
            diagnostics.warning(place, f"the label '{key}' has no value and is ignored", "give it one, or remove it")
        elif key.startswith(RESERVED_LABELS):
            place = job.located.key_place("labels", key)
            diagnostics.warning(place, f"the label '{key}' is reserved and is ignored", "choose another name")
    matrix = root.by_key.get("matrix")
    if isinstance(matrix, MapNode) and isinstance(matrix.by_key.get("include"), ListNode) and len(matrix.entries) > 1:
        axes = ", ".join(f"'{key.text}'" for key, _ in matrix.entries if key.text != "include")
        message = f"beside 'include' the rest of the matrix has no effect, here {axes}"
        diagnostics.warning(matrix.place, message, "write all combinations under 'include'")


def _empty_keys(job: JobInput, where: tuple[str | int, ...], kind: type[PipelineModel]) -> None:
    """Warns of keys without a value: they are ignored."""
    node = job.located.node(*where)
    for key, value in node.entries if isinstance(node, MapNode) else ():
        empty = isinstance(value, ScalarNode) and value.is_null
        if empty and key.text in kind.model_fields and key.text not in _MAY_BE_EMPTY | kind.may_be_empty:
            message = f"'{key.text}' has no value and is ignored"
            job.diagnostics.warning(key.place, message, "give it a value, or remove it")


def _secret(job: JobInput, item: WorkflowItem) -> None:
    """Warns of secrets in steps that run for pull requests: those from forks get no secrets."""
    explicit = [condition for condition in (*job.workflow.when, *item.model.when) if condition.event]
    events = named_events(job.workflow.when) & named_events(item.model.when)
    if Event.PULL_REQUEST not in events:
        return
    node = job.located.node(*item.where)
    found = next(_secrets(node), None)
    if found is None:
        return
    place, name = found.place, found.text
    message = f"{item.label} uses the secret '{name}' and runs for pull requests; those from forks get no secrets"
    report = job.diagnostics.warning if explicit else job.diagnostics.hint
    report(place, message, "let it run for other events only: when: {event: [push, tag]}")


def _secrets(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, MapNode):
        build = node.by_key.get("build")
        if isinstance(build, MapNode) and isinstance(names := build.by_key.get("secrets"), ListNode):
            yield from (item for item in names.items if isinstance(item, ScalarNode))
        yield from _sources(node.by_key.get("secrets"))
        for key, value in node.entries:
            if key.text == "from_secret" and isinstance(value, ScalarNode):
                yield value
            else:
                yield from _secrets(value)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _secrets(item)


def _sources(files: Node | None) -> Iterator[ScalarNode]:
    """The names of secrets that are files."""
    for each in files.items if isinstance(files, ListNode) else (files,):
        if isinstance(each, MapNode) and isinstance(source := each.by_key.get("source"), ScalarNode):
            yield source


Containered = CommandsStep | PluginStep | Service


def _container(job: JobInput, item: WorkflowItem, model: Containered) -> None:
    diagnostics, located = job.diagnostics, job.located
    _needs_trust(job, container_keys(model), item)
    plugin = model if isinstance(model, PluginStep) and model.settings and model.environment else None
    if plugin and not job.is_plugin(plugin, *item.where):
        message = f"with 'environment' {item.label} is no plugin any more: it gets no DRONE_* variables"
        diagnostics.warning(located.key_place(*item.where, "environment"), message, "move the values to 'settings'")
    if model.ports and not isinstance(model, Service):
        diagnostics.warning(
            located.key_place(*item.where, "ports"), f"'ports' has no effect in {item.label}", "remove it"
        )


def _needs_trust(job: JobInput, keys: Iterable[tuple[str, str]], item: WorkflowItem, *inside: str) -> None:
    for key, trust in keys:
        message = f"'{key}' in {item.label} runs only where the repository is trusted in '{trust}'"
        place = job.located.key_place(*item.where, *inside, key)
        job.diagnostics.hint(place, message, "an administrator gives this trust")


def _build_plugin(job: JobInput, item: WorkflowItem, step: PluginStep) -> None:
    """Warns of a plugin that wraps ``docker build`` and runs as a plugin: it starts a Docker daemon of its own."""
    reason = why_not_native(step)
    if reason and step.settings and starts_docker(step) and not step.privileged and not step.volumes:
        message = f"{item.label} runs the plugin itself, which starts a Docker of its own: {reason}"
        hint = "remove that, or write privileged: true where the repository is trusted in 'security'"
        job.diagnostics.warning(job.place(*item.where), message, hint)


def _cache_export(job: JobInput, item: WorkflowItem) -> None:
    """Hints at what a cache outside of the image needs."""
    for index, entry in enumerate(item.model.build.cache_to if isinstance(item.model, BuildStep) else ()):
        if cache_export.needs_store(entry):
            place = job.place(*item.where, "build", "cache_to", index)
            job.diagnostics.hint(place, cache_export.NEED, cache_export.REMEDY)


def _dockerfile(job: JobInput, item: WorkflowItem, build: Build) -> None:
    """Says which file is built, where the root has one that could be meant as well."""
    file = dockerfiles(build)[0]
    if normpath(build.context) != "." and not build.dockerfile_inline and not leads_out(file):
        message = f"{item.label} builds the file {file} of the repository"
        hint = "'dockerfile' is a path from the context: with ../ it can be outside of it"
        job.diagnostics.hint(job.place(*item.where, "build"), message, hint)


def _images(job: JobInput) -> None:
    """Names that no image can have, and images without a version, once each.

    Plugins that expand to native steps are never pulled.
    """
    seen: set[str] = set()
    for item in job.items():
        model = item.model
        if isinstance(model, BuildStep | PushStep) or (item.group == "clone" and is_git(model)):
            continue
        if isinstance(model, PluginStep) and is_build_plugin(model) and not why_not_native(model):
            continue
        image = model.image.name if model.image else ""
        if image and image not in seen:
            _image(job, job.place(*item.where, "image"), image)
        seen.add(image)


def _image(job: JobInput, place: Place, image: str) -> None:
    shown = f"the image '{visible_line(image)}'"
    if "$" in image:
        return
    if why := why_no_image(image):
        job.diagnostics.warning(place, f"{shown} cannot be: {why}", "write the name as `docker pull` takes it")
    elif unpinned := _unpinned(image):
        job.diagnostics.hint(place, f"{shown} {unpinned}", "name a version")


def _unpinned(image: str) -> str:
    if "@" in image or image.startswith("sha256:"):
        return ""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if tag == "latest":
        return "is another one from day to day"
    return "" if colon else "has no version, so it is another one from day to day"


def _service(job: JobInput, item: WorkflowItem, service: Service) -> None:
    if service.failure == "cancel":
        place = job.place(*item.where, "failure")
        job.diagnostics.warning(place, "'failure: cancel' of a service counts as 'fail'", "write fail, or ignore")
    base = service.image.name.rpartition("/")[2].partition(":")[0].partition("@")[0] if service.image else ""
    if service.ready is None and base and not _EXPOSING.fullmatch(base):
        message = f"{item.label} does not say when it is ready"
        hint = "without 'ready' its image's HEALTHCHECK counts, else a port that it exposes, else nothing"
        job.diagnostics.hint(job.place(*item.where), message, hint)


def _ports(job: JobInput) -> None:
    """Two services on one port: a conflict on the host's network; elsewhere a client must use the right host name."""
    seen: dict[int, Service] = {}
    for index, service in enumerate(job.workflow.services):
        ports = [_port(text) for text in service.ports] + [service.ready.port if service.ready else None]
        for port in dict.fromkeys(port for port in ports if port):
            other = seen.setdefault(port, service)
            if other is service:
                continue
            place = job.place("services", index)
            both = f"services '{other.name}' and '{service.name}' both listen on port {port}"
            if service.network_mode == other.network_mode == "host":
                job.diagnostics.warning(
                    place, f"{both} of the host, which only one can", "remove network_mode from one"
                )
            else:
                hint = f"that works, at {other.name}:{port} and {service.name}:{port}"
                job.diagnostics.hint(place, both, hint)


def _port(text: str) -> int | None:
    number = re.search(r"([0-9]{1,5})(?:/[a-z]+)?$", text)
    return int(number[1]) if number else None


def _same_names(job: JobInput) -> None:
    if any(step.depends_on is not None for step in job.workflow.steps):
        return  # there it is an error
    seen: set[str] = set()
    for item in job.items():
        name = item.model.name
        if item.group == "steps" and name and name in seen:
            message = f"two steps are named '{name}', so their logs are hard to tell apart"
            job.diagnostics.hint(job.place(*item.where, "name"), message, "give them different names")
        seen.add(name)
