"""The firewall rules of the engine's host that keep jobs from it and from each other, as text for the host's iptables.

They stand in the table ``mangle``, before addresses are translated: so they also cover published ports of other
containers, and no chain that Docker writes comes first. Networks of jobs are named by a prefix of their bridges: a
network that does not ask for it, such as that of ``headway run``, is not restricted.

Builds run in the engine's default network, with containers of others, and iptables cannot distinguish them. But the
engine lists containers with their addresses, and does not list RUN: listed addresses are exempt from the rules.

Docker's own rules separate its networks, but whenever a network is made it takes the jump to them away and puts it in
again (``EnsureJumpRule`` in libnetwork): for milliseconds a container reaches those of other jobs. A chain of our own
in ``FORWARD`` has no such gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote

BRIDGE_PREFIX = "hw-"
"""The names of the bridges of restricted networks begin so."""

LOST = "headway: rules were missing"
"""What the script prints if a chain or a jump to it was not there."""

IPV4, IPV6 = 4, 6
JOBS_CHAIN, DEFAULT_CHAIN, FORWARD_CHAIN = "HEADWAY-JOBS", "HEADWAY-DEFAULT", "HEADWAY-FORWARD"
METADATA = {IPV4: ("169.254.0.0/16", "100.100.100.200/32"), IPV6: ("fd00:ec2::254/128",)}
_JOBS_BRIDGES = f"{BRIDGE_PREFIX}+"
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
    for chain in (JOBS_CHAIN, DEFAULT_CHAIN):
        yield f"case \"$({program} -S {chain} 2>/dev/null)\" in *'-A '*) ;; *) echo '{LOST}' ;; esac"
    chains, restore = _chains(rules, version), f"{_PROGRAMS[version]}-restore -w 10 --noflush"
    # Where the kernel does not know whether a packet stays on its bridge, Docker's own rules are all there is.
    without = [line for line in chains if "physdev" not in line]
    yield f"{_printed(chains)} | {restore} 2>/dev/null || {_printed(without)} | {restore}"
    jumps = [f"PREROUTING -i {_JOBS_BRIDGES} -j {JOBS_CHAIN}", f"FORWARD -j {FORWARD_CHAIN}"]
    if rules.default_bridge:
        jumps.append(f"PREROUTING -i {rules.default_bridge} -j {DEFAULT_CHAIN}")
    for jump in jumps:
        yield f"{program} -C {jump} 2>/dev/null || {{ echo '{LOST}'; {program} -I {jump}; }}"


def _printed(lines: Sequence[str]) -> str:
    return f"printf '%s\\n' {' '.join(map(quote, lines))}"


def _chains(rules: HostRules, version: int) -> Sequence[str]:
    """The rules of the chains, as ``iptables-restore`` reads them. They end in DROP: ``mangle`` knows no REJECT."""
    lines = ["*mangle", *(f":{chain} - [0:0]" for chain in (JOBS_CHAIN, DEFAULT_CHAIN, FORWARD_CHAIN))]
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
    return [*lines, *_between_networks(rules.default_bridge), "COMMIT"]


def _between_networks(default_bridge: str) -> Iterator[str]:
    """From the network of a job to that of another, or to the default one, nothing is forwarded."""
    # What stays on its bridge comes here too where the kernel filters bridges.
    yield f"-A {FORWARD_CHAIN} -i {_JOBS_BRIDGES} -o {_JOBS_BRIDGES} -m physdev ! --physdev-is-bridged -j DROP"
    if default_bridge:
        yield f"-A {FORWARD_CHAIN} -i {_JOBS_BRIDGES} -o {default_bridge} -j DROP"
        yield f"-A {FORWARD_CHAIN} -i {default_bridge} -o {_JOBS_BRIDGES} -j DROP"


def _is_of(address: str, version: int) -> bool:
    return (":" in address) is (version == IPV6)
