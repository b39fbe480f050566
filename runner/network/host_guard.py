"""Keeps steps and services from the engine's host: its own addresses, and the metadata service of its cloud.

The rules are iptables' own, set by the host's own program, in the engine's network namespace: nothing in a container
can undo them. They stand in the table ``mangle``, before addresses are translated: so they also cover published ports
of other containers, and no chain that Docker writes comes first. They name bridges by a prefix: a network that does not
ask for it, such as that of ``headway run``, is not restricted.
"""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from pipelines.own_images import GUARD_REPO
from runner.docker.client import Engine
from runner.docker.sandbox_image import archive_of, image_archive
from runner.docker.specs import ContainerSpec, Limits, job_labels
from runner.errors import StepError
from runner.network.proxies import Proxies

GUARD_IMAGE = f"{GUARD_REPO}:1"
"""Links to the host's programs, which are mounted, and nothing else."""

BRIDGE_PREFIX = "hw-"
"""The names of the bridges of restricted networks begin so."""

IPV4, IPV6 = 4, 6
_CHAIN, _DEFAULT_CHAIN = "HEADWAY-JOBS", "HEADWAY-DEFAULT"
_METADATA = {IPV4: ("169.254.0.0/16", "100.100.100.200/32"), IPV6: ("fd00:ec2::254/128",)}
_PROGRAMS = {IPV4: "iptables", IPV6: "ip6tables"}
_LIMITS = Limits(memory_bytes=64 * 1024 * 1024, pids=32)
_WITHIN_S = 30
_LOG_LINES = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}


class GuardError(Exception):
    """The rules could not be set. The message says why, and what to do."""


def guard_host(engine: Engine, key: str, made_s: int, proxies: Proxies) -> None:
    """Sets the rules, or sets them again. Raises GuardError, and MachineError where the engine does not answer.

    ``proxies`` are those of steps: where one runs on the host, steps reach its port. The container that sets the rules
    has the labels of the attempt ``made_s`` at the job ``key``.
    """
    if engine.image(GUARD_IMAGE) is None:
        engine.load_image(_archive(engine.connection.version.arch))
    spec = ContainerSpec(
        image=GUARD_IMAGE,
        labels=job_labels(key, made_s),
        network="host",
        entrypoint=("/bin/sh",),
        command=("-euc", script(_default_bridge(engine), sorted(set(_addresses(proxies))))),
        environment={"PATH": "/usr/sbin:/usr/bin"},
        binds=("/usr:/usr:ro", "/etc:/etc:ro"),
        privileged=True,
        user_namespace="host",
        limits=_LIMITS,
    )
    container = engine.create(spec)
    try:
        engine.start(container)
        if engine.wait(container, _WITHIN_S) != 0:
            raise GuardError(_not_set(engine.logs(container, _LOG_LINES).decode(errors="replace").strip()))
    except StepError as error:
        raise GuardError(_not_set(str(error))) from error
    finally:
        engine.remove(container)


def _not_set(detail: str) -> str:
    return (
        f"steps can reach this engine's host and its cloud's metadata service, because the host's iptables cannot be "
        f"used: {detail or 'no answer'}. Install iptables on the host, or keep the worker where that does no harm and "
        f"set HEADWAY_STEPS_REACH_HOST=true"
    )


def script(default_bridge: str, open_addresses: Sequence[tuple[str, int]]) -> str:
    """The commands that set the rules: all rules of a chain at once, then the jumps to them where they are missing."""
    lines: list[str] = []
    for version, program in _PROGRAMS.items():
        jumps = [(f"{BRIDGE_PREFIX}+", _CHAIN), *([(default_bridge, _DEFAULT_CHAIN)] if default_bridge else [])]
        commands = [f"printf '%s\\n' {_quoted(_rules(version, open_addresses))} | {program}-restore -w 10 --noflush"]
        for bridge, chain in jumps:
            jump = f"PREROUTING -i {bridge} -j {chain}"
            check = f"{program} -w 10 -t mangle -C {jump} 2>/dev/null"
            commands.append(f"{check} || {program} -w 10 -t mangle -I {jump}")
        if version == IPV6:
            # A host without IPv6 needs no rules for it.
            lines.append(f"if {program} -w 10 -t mangle -S >/dev/null 2>&1; then")
            lines += [*commands, "fi"]
        else:
            lines += commands
    return "\n".join(lines)


def _rules(version: int, open_addresses: Sequence[tuple[str, int]]) -> Sequence[str]:
    """The rules of both chains, as ``iptables-restore`` reads them. They end in DROP: ``mangle`` knows no REJECT."""
    chains = (_CHAIN, _DEFAULT_CHAIN)
    rules = ["*mangle", *(f":{chain} - [0:0]" for chain in chains)]
    for chain in chains:
        # Answers to who connected from the host; name servers; and how neighbours find each other in IPv6.
        rules.append(f"-A {chain} -m conntrack --ctdir REPLY -j RETURN")
        rules += [f"-A {chain} -p {protocol} --dport 53 -j RETURN" for protocol in ("udp", "tcp")]
        if version == IPV6:
            rules.append(f"-A {chain} -p ipv6-icmp -j RETURN")
        rules += [
            f"-A {chain} -d {address} -p tcp --dport {port} -j RETURN"
            for address, port in open_addresses
            if (":" in address) is (version == IPV6)
        ]
        rules += [f"-A {chain} -d {network} -j DROP" for network in _METADATA[version]]
    rules.append(f"-A {_CHAIN} -m addrtype --dst-type LOCAL -j DROP")
    return [*rules, "COMMIT"]


def _quoted(lines: Sequence[str]) -> str:
    return " ".join(f"'{line}'" for line in lines)


def _default_bridge(engine: Engine) -> str:
    """The bridge of builds: that of the engine's default network; empty where it has none."""
    status, body = engine.connection.get("/networks/bridge")
    options = json.loads(body).get("Options") if status == HTTPStatus.OK else None
    name = str((options or {}).get("com.docker.network.bridge.name", ""))
    return name if re.fullmatch(r"[A-Za-z0-9._-]{1,15}", name) else ""


def _addresses(proxies: Proxies) -> Iterator[tuple[str, int]]:
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
