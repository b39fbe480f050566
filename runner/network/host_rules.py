"""The firewall rules of the engine's host that keep steps and builds from it, as text for the host's own iptables.

They stand in the table ``mangle``, before addresses are translated: so they also cover published ports of other
containers, and no chain that Docker writes comes first. Networks of jobs are named by a prefix of their bridges: a
network that does not ask for it, such as that of ``headway run``, is not restricted.

Builds run in the engine's default network, with containers of others, and iptables cannot distinguish them. But the
engine lists containers with their addresses, and does not list RUN: listed addresses are exempt from the rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BRIDGE_PREFIX = "hw-"
"""The names of the bridges of restricted networks begin so."""

LOST = "headway: rules were missing"
"""What the script prints if a chain or a jump to it was not there."""

IPV4, IPV6 = 4, 6
JOBS_CHAIN, DEFAULT_CHAIN = "HEADWAY-JOBS", "HEADWAY-DEFAULT"
METADATA = {IPV4: ("169.254.0.0/16", "100.100.100.200/32"), IPV6: ("fd00:ec2::254/128",)}
_PROGRAMS = {IPV4: "iptables", IPV6: "ip6tables"}


@dataclass(frozen=True)
class HostRules:
    """What is open. ``default_bridge`` is that of the engine's default network, empty where it has none.

    ``steps_to`` and ``builds_to`` are addresses and ports of the host that stay in reach: those of proxies.
    ``exempt`` are addresses in the default network from which the host is in reach; with ``builds_reach_host`` it is
    from all.
    """

    default_bridge: str
    steps_to: Sequence[tuple[str, int]] = ()
    builds_to: Sequence[tuple[str, int]] = ()
    exempt: Sequence[str] = ()
    builds_reach_host: bool = False


def script(rules: HostRules) -> str:
    """The commands that set the rules: all rules of a chain at once, then the jumps to them where they are missing."""
    lines: list[str] = []
    for version, program in _PROGRAMS.items():
        commands = list(_commands(rules, version, f"{program} -w 10 -t mangle"))
        if version == IPV6:
            # A host without IPv6 needs no rules for it.
            commands = [f"if {program} -w 10 -t mangle -S >/dev/null 2>&1; then", *commands, "fi"]
        lines += commands
    return "\n".join(lines)


def _commands(rules: HostRules, version: int, program: str) -> Iterator[str]:
    chains = (JOBS_CHAIN, DEFAULT_CHAIN)
    for chain in chains:
        yield f"case \"$({program} -S {chain} 2>/dev/null)\" in *'-A '*) ;; *) echo '{LOST}' ;; esac"
    text = " ".join(f"'{line}'" for line in _chains(rules, version))
    yield f"printf '%s\\n' {text} | {_PROGRAMS[version]}-restore -w 10 --noflush"
    bridges = (f"{BRIDGE_PREFIX}+", rules.default_bridge)
    for bridge, chain in zip(bridges, chains, strict=True):
        jump = f"PREROUTING -i {bridge} -j {chain}"
        if bridge:
            yield f"{program} -C {jump} 2>/dev/null || {{ echo '{LOST}'; {program} -I {jump}; }}"


def _chains(rules: HostRules, version: int) -> Sequence[str]:
    """The rules of both chains, as ``iptables-restore`` reads them. They end in DROP: ``mangle`` knows no REJECT."""
    lines = ["*mangle", *(f":{chain} - [0:0]" for chain in (JOBS_CHAIN, DEFAULT_CHAIN))]
    for chain, open_addresses in ((JOBS_CHAIN, rules.steps_to), (DEFAULT_CHAIN, rules.builds_to)):
        # Answers to who connected from the host; name servers; and how neighbours find each other in IPv6.
        lines.append(f"-A {chain} -m conntrack --ctdir REPLY -j RETURN")
        lines += [f"-A {chain} -p {protocol} --dport 53 -j RETURN" for protocol in ("udp", "tcp")]
        if version == IPV6:
            lines.append(f"-A {chain} -p ipv6-icmp -j RETURN")
        lines += [
            f"-A {chain} -d {address} -p tcp --dport {port} -j RETURN"
            for address, port in open_addresses
            if _is_of(address, version)
        ]
        lines += [f"-A {chain} -d {network} -j DROP" for network in METADATA[version]]
    from_host = "-m addrtype --dst-type LOCAL -j DROP"
    lines.append(f"-A {JOBS_CHAIN} {from_host}")
    if not rules.builds_reach_host:
        exempt = (address for address in rules.exempt if _is_of(address, version))
        lines += [f"-A {DEFAULT_CHAIN} -s {address} -j RETURN" for address in exempt]
        lines.append(f"-A {DEFAULT_CHAIN} {from_host}")
    return [*lines, "COMMIT"]


def _is_of(address: str, version: int) -> bool:
    return (":" in address) is (version == IPV6)
