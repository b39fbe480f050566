"""Which names and addresses lead to the engine's host."""

import socket

import pytest

from runner.docker.client import Engine
from runner.network.host_addresses import gateways, leads_to_host
from tests.support.forward_proxy import gateway_of


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0.0.0.0", "::1", "::",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "169.254.169.254", "169.254.1.1", "100.100.100.200",
        "fd00:ec2::254", "fe80::1", "localhost", "LocalHost.", "a.localhost", "metadata.google.internal",
        "host.docker.internal", "\u246027.0.0.1", "127\u30020\u30020\u30021", socket.gethostname(), "10.7.7.7",
    ],
)  # fmt: skip
def test_what_leads_to_the_host(host: str) -> None:
    assert leads_to_host(host, {"10.7.7.7"})


@pytest.mark.parametrize(
    "host", ["198.51.100.7", "2001:db8::7", "10.7.7.8", "100.100.100.201", "no-such.invalid", "a..b", ""]
)
def test_what_does_not(host: str) -> None:
    assert not leads_to_host(host, {"10.7.7.7"})


@pytest.mark.engine
def test_the_hosts_addresses_in_the_engines_networks_are_its_own(engine: Engine) -> None:
    assert gateway_of(engine) in gateways(engine)
