"""The text of the host's firewall rules."""

from runner.network.host_rules import HostRules, script

LOCAL = "-m addrtype --dst-type LOCAL -j DROP"


def commands(rules: HostRules) -> tuple[str, str]:
    """The commands for IPv4 and for IPv6."""
    v4, _, v6 = script(rules).partition("if ip6tables")
    return v4, v6


def test_the_rules_name_the_bridges_by_their_prefix_and_leave_other_networks_alone() -> None:
    text = script(HostRules("docker7"))
    jumps = [line.partition("-t mangle -I ")[2].rstrip("; }") for line in text.splitlines() if "mangle -I " in line]
    assert set(jumps) == {
        "PREROUTING -i hw-+ -j HEADWAY-JOBS",
        "PREROUTING -i docker7 -j HEADWAY-DEFAULT",
        "FORWARD -j HEADWAY-FORWARD",
    }
    assert "docker" not in script(HostRules(""))


def test_both_chains_end_with_the_metadata_services_and_the_hosts_addresses() -> None:
    for text, networks in zip(
        commands(HostRules("docker0")),
        (("169.254.0.0/16", "100.100.100.200/32"), ("fd00:ec2::254/128",)),
        strict=True,
    ):
        for chain in ("HEADWAY-JOBS", "HEADWAY-DEFAULT"):
            for network in networks:
                assert f"'-A {chain} -d {network} -j DROP'" in text
            assert f"'-A {chain} {LOCAL}'" in text


def test_proxies_of_steps_and_of_builds_stay_in_reach_each_in_its_own_chain() -> None:
    rules = HostRules("docker0", steps_to=[("192.0.2.1", 3128)], builds_to=[("2001:db8::1", 8080)])
    v4, v6 = commands(rules)
    assert "'-A HEADWAY-JOBS -d 192.0.2.1 -p tcp --dport 3128 -j RETURN'" in v4
    assert "'-A HEADWAY-DEFAULT -d 2001:db8::1 -p tcp --dport 8080 -j RETURN'" in v6
    assert "2001:db8::1" not in v4
    assert "192.0.2.1" not in v6
    assert "HEADWAY-DEFAULT -d 192.0.2.1" not in v4
    assert "HEADWAY-JOBS -d 2001:db8::1" not in v6


def test_the_host_stays_open_to_others_but_not_the_metadata_services() -> None:
    rules = HostRules("docker0", exempt=("172.17.0.9", "2001:db8::9"))
    for text, address, other in zip(commands(rules), rules.exempt, reversed(rules.exempt), strict=True):
        lines = [line for line in text.split("'") if line.startswith("-A HEADWAY-DEFAULT")]
        assert lines[-2:] == [f"-A HEADWAY-DEFAULT -s {address} -j RETURN", f"-A HEADWAY-DEFAULT {LOCAL}"]
        assert lines[-3].endswith("-j DROP")
        assert other not in text
        assert f"HEADWAY-JOBS -s {address}" not in text


def test_builds_that_reach_the_host_still_do_not_reach_the_metadata_services() -> None:
    v4, v6 = commands(HostRules("docker0", exempt=("172.17.0.9",), builds_reach_host=True))
    for text in (v4, v6):
        assert f"HEADWAY-DEFAULT {LOCAL}" not in text
        assert f"HEADWAY-JOBS {LOCAL}" in text
    assert "-A HEADWAY-DEFAULT -d 169.254.0.0/16 -j DROP" in v4
    assert "172.17.0.9" not in v4


def test_networks_of_jobs_are_apart_and_the_rest_is_set_where_the_kernel_knows_no_bridge_ports() -> None:
    v4, _ = commands(HostRules("docker7"))
    restore = next(line for line in v4.splitlines() if "iptables-restore" in line)
    full, without = restore.split(" || ")
    assert "'-A HEADWAY-FORWARD -i hw-+ -o hw-+ -m physdev ! --physdev-is-bridged -j DROP'" in full
    assert "physdev" not in without
    for text in (full, without):
        assert "'-A HEADWAY-FORWARD -i hw-+ -o docker7 -j DROP'" in text
        assert "'-A HEADWAY-FORWARD -i docker7 -o hw-+ -j DROP'" in text
