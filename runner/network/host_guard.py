"""Sets the rules of ``host_rules``, which keep steps, services and builds from the engine's host and its cloud.

The host's own program sets them in the engine's network namespace: nothing in a container can undo them.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from pipelines.images.own_images import GUARD_REPO
from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec, Limits, is_named_by_headway, job_labels
from runner.docker.error_mapping import absent_is_fine, translated
from runner.docker.images.sandbox_image import archive_of, image_archive
from runner.errors import StepError
from runner.network.host_rules import LOST, HostRules, script
from runner.network.proxies import NO_PROXIES, Proxies

GUARD_IMAGE = f"{GUARD_REPO}:1"
"""Links to the host's programs, which are mounted, and nothing else."""

_DEFAULT_NETWORK = "bridge"
_LIMITS = Limits(memory_bytes=64 * 1024 * 1024, pids=32)
_WITHIN_S = 30
_LOG_LINES = 20
_DEFAULT_PORTS = {"http": 80, "https": 443}


class GuardError(Exception):
    """The rules could not be set. The message says why, and what to do."""


@dataclass(frozen=True)
class Reach:
    """What stays in reach. Where a proxy of ``steps`` or ``builds`` runs on the host, its port does.

    ``others`` are addresses in the engine's default network by the names of their containers, which reach the host.
    """

    steps: Proxies = NO_PROXIES
    builds: Proxies = NO_PROXIES
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    builds_reach_host: bool = False


def guard_host(engine: Engine, key: str, made_s: int, reach: Reach) -> bool:
    """Sets the rules, or sets them again; True if some were missing. Raises GuardError, and MachineError where the
    engine does not answer.

    The container that sets the rules has the labels of the attempt ``made_s`` at the job ``key``.
    """
    if engine.image(GUARD_IMAGE) is None:
        engine.load_image(_archive(engine.connection.version.arch))
    spec = ContainerSpec(
        image=GUARD_IMAGE,
        labels=job_labels(key, made_s),
        network="host",
        entrypoint=("/bin/sh",),
        command=("-euc", script(_rules(engine, reach))),
        environment={"PATH": "/usr/sbin:/usr/bin"},
        binds=("/usr:/usr:ro", "/etc:/etc:ro"),
        capabilities=("NET_ADMIN",),
        user_namespace="host",
        limits=_LIMITS,
    )
    container = engine.create(spec)
    try:
        engine.start(container)
        status = engine.wait(container, _WITHIN_S)
        said = engine.logs(container, _LOG_LINES).decode(errors="replace")
    except StepError as error:
        raise GuardError(_not_set(str(error))) from error
    finally:
        engine.remove(container)
    if status != 0:
        raise GuardError(_not_set(said.replace(LOST, "").strip()))
    return LOST in said


def others_in_default_network(engine: Engine) -> dict[str, tuple[str, ...]]:
    """The running containers in the engine's default network that are no job's: their addresses by their names.

    The RUN of a build is no container in the engine's eyes: it is not among them. Raises MachineError.
    """
    filters = quote(json.dumps({"network": [_DEFAULT_NETWORK]}))
    with translated():
        listed = json.loads(engine.connection.send("GET", f"/containers/json?filters={filters}"))
    found = ((_name(each), tuple(_own_addresses(each))) for each in listed if not is_named_by_headway(each))
    return {name: addresses for name, addresses in sorted(found) if addresses}


def _name(container: Mapping[str, Any]) -> str:
    names = container.get("Names") or [str(container["Id"])[:12]]
    return str(names[0]).removeprefix("/")


def _own_addresses(container: Mapping[str, Any]) -> Iterator[str]:
    endpoint = ((container.get("NetworkSettings") or {}).get("Networks") or {}).get(_DEFAULT_NETWORK) or {}
    for key in ("IPAddress", "GlobalIPv6Address"):
        try:
            yield str(ip_address(str(endpoint.get(key) or "")))
        except ValueError:
            continue  # it has none of this kind


def _not_set(detail: str) -> str:
    return (
        f"steps and builds can reach this engine's host and its cloud's metadata service, because the host's iptables "
        f"cannot be used: {detail or 'no answer'}. Install iptables on the host, or keep the worker where that does no "
        f"harm and set HEADWAY_STEPS_REACH_HOST=true"
    )


def _rules(engine: Engine, reach: Reach) -> HostRules:
    return HostRules(
        default_bridge=_default_bridge(engine),
        steps_to=sorted(set(_proxy_addresses(reach.steps))),
        builds_to=sorted(set(_proxy_addresses(reach.builds))),
        exempt=[address for addresses in reach.others.values() for address in addresses],
        builds_reach_host=reach.builds_reach_host,
    )


def _default_bridge(engine: Engine) -> str:
    """The bridge of builds: that of the engine's default network; empty where it has none."""
    described = b"{}"
    with translated(), absent_is_fine():
        described = engine.connection.send("GET", f"/networks/{_DEFAULT_NETWORK}")
    name = str((json.loads(described).get("Options") or {}).get("com.docker.network.bridge.name", ""))
    return name if re.fullmatch(r"[A-Za-z0-9._-]{1,15}", name) else ""


def _proxy_addresses(proxies: Proxies) -> Iterator[tuple[str, int]]:
    for url in proxies.urls.values():
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 1080)
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (ValueError, OSError):
            continue  # not an address of this host, or one that nothing reaches
        yield from ((str(address[0]), port) for _, _, _, _, address in found)


def _archive(arch: str) -> bytes:
    # Not /sbin: the engine mounts its own init there.
    links = {name: f"usr/{name}" for name in ("bin", "lib", "lib64")}
    return image_archive(GUARD_IMAGE, arch, archive_of({}, links))
