"""Whether a name or address leads to the engine's host, or to the metadata service of its cloud."""

import json
import socket
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from runner.docker.client import Engine
from runner.network.host_rules import IPV4, IPV6, METADATA

_NETWORKS = tuple(ip_network(text) for version in (IPV4, IPV6) for text in METADATA[version])
_NAMES = frozenset({"localhost", "metadata", "metadata.google.internal", "instance-data", "host.docker.internal"})
Address = IPv4Address | IPv6Address


def gateways(engine: Engine) -> frozenset[str]:
    """The addresses that the engine's host has in the engine's networks."""
    status, body = engine.connection.get("/networks")
    networks = json.loads(body) if status == HTTPStatus.OK else []
    configs = (config for network in networks for config in (network.get("IPAM") or {}).get("Config") or ())
    return frozenset(gateway for config in configs if (gateway := _gateway(config)))


def _gateway(config: dict[str, Any]) -> str:
    """The host's address in a subnet. Docker 20.10 does not tell that of its default network: it is the first there."""
    if gateway := config.get("Gateway"):
        return str(gateway)
    subnet = config.get("Subnet")
    return str(next(ip_network(subnet).hosts())) if subnet else ""


def leads_to_host(host: str, own: Iterable[str] = ()) -> bool:
    """True for the host's names and addresses, of which ``own`` are some, and for names that resolve to such a one.

    A name may resolve otherwise later: this is no protection from one who rules a name server.
    """
    name = host.lower().rstrip(".")
    if not name.isascii():
        return True  # the engine may read other characters as digits and dots
    if name in _NAMES or name.endswith(".localhost"):
        return True
    return any(_is_hosts(address, frozenset(own)) for address in _addresses(name))


def _addresses(name: str) -> Iterable[Address]:
    try:
        # Also 127.1, 2130706433 and 0x7f.1, as the resolver of the C library reads them.
        return [IPv4Address(socket.inet_aton(name))]
    except (OSError, UnicodeError):
        pass
    try:
        return [ip_address(name)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _is_hosts(address: Address, own: frozenset[str]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_unspecified or str(address) in own:
        return True
    return any(address in network for network in _NETWORKS) or _is_this_machines(address)


def _is_this_machines(address: Address) -> bool:
    """Whether a socket can have the address. (A worker in a container has addresses of its own.)"""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return not address.is_multicast
