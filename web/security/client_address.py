"""Which addresses count as one client, and whether an address is a proxy's."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_IPV6_CUSTOMER_BITS = 64


def parse_networks(text: str) -> Sequence[Network]:
    """The networks of a setting. Raises ValueError."""
    return [ip_network(part) for part in text.replace(",", " ").split()]


def plain_address(host: str) -> str:
    """The address; without the IPv6 form in which a socket for both protocols shows IPv4 clients."""
    try:
        ip = ip_address(host)
    except ValueError:
        return host
    return str(ip.ipv4_mapped) if isinstance(ip, IPv6Address) and ip.ipv4_mapped else str(ip)


def client_group(host: str) -> str:
    """What counts as one client: an IPv4 address, or the network that a customer gets of IPv6."""
    host = plain_address(host)
    return str(ip_network((host, _IPV6_CUSTOMER_BITS), strict=False)) if is_address(host) and ":" in host else host


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_in(host: str, networks: Sequence[Network]) -> bool:
    """Whether an address belongs to one of the networks."""
    if not networks or not is_address(host):
        return False
    ip = ip_address(plain_address(host))
    return any(ip in network for network in networks)
