"""RUN in builds does not reach the engine's host. Containers of others in the default network do."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec, job_labels
from runner.network.host_guard import Reach, others_in_default_network
from runner.network.proxies import Proxies
from tests.support.engine import JobRunner
from tests.support.forward_proxy import gateway_of
from tests.support.host_rules import OPEN_TO_BUILDS, hello_server, iptables, rules, set_rules
from tests.support.plans import build, secrets_hex

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("rules_alone")]
OWN_V6 = "fd68:7764:7779"


@pytest.fixture
def server() -> Iterator[int]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the rules are those of this machine")
    with hello_server() as port:
        yield port


def request(address: str, port: int) -> str:
    return rf"printf 'GET / HTTP/1.0\r\n\r\n' | timeout 3 nc {address} {port} | grep ^reached"


def build_reaches(ran: JobRunner, address: str, port: int) -> bool:
    """Whether RUN gets an answer from the server."""
    ask = f"RUN echo {secrets_hex()}; {request(address, port)} || echo 'out of' 'reach'"
    job = ran(build(dockerfile_inline=f"FROM busybox\n{ask}\n"), files={"x": ""})
    said = [line for line in job.said() if line.endswith((" reached", " out of reach"))]
    assert len(said) == 1, job.said()
    return said[0].endswith(" reached")


@contextmanager
def other_container(engine: Engine, *options: str) -> Iterator[tuple[str, str]]:
    """A container that is no job's, in the default network; its name and id."""
    name = f"hostrules-{secrets_hex()}"
    command = ["docker", "run", "--detach", "--rm", "--name", name, *options, "busybox", "sleep", "120"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    try:
        yield name, made.stdout.strip()
    finally:
        engine.remove(name)


def container_reaches(engine: Engine, container: str, address: str, port: int) -> bool:
    return b"reached" in engine.exec(container, ["sh", "-c", request(address, port)])[1]


def test_a_build_reaches_the_host_only_with_the_setting(ran: JobRunner, engine: Engine, server: int) -> None:
    address = gateway_of(engine)
    with rules(engine, Reach()):
        assert not build_reaches(ran, address, server)
    assert build_reaches(ran, address, server), "the rules were set back"


def test_a_build_does_not_reach_ports_that_other_containers_publish(
    ran: JobRunner, engine: Engine, server: int
) -> None:
    with other_container(engine, "--publish", "80") as (_, container):
        served = ["sh", "-c", "mkdir /www; echo reached > /www/index.html; httpd -h /www"]
        assert engine.exec(container, served)[0] == 0
        inspected = engine.inspect(container)
        assert inspected
        published = int(inspected["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
        address = gateway_of(engine)
        with rules(engine, Reach()):
            assert not build_reaches(ran, address, published)
        assert build_reaches(ran, address, published)


def test_a_build_reaches_a_proxy_on_the_host_and_no_other_port(ran: JobRunner, engine: Engine, server: int) -> None:
    address = gateway_of(engine)
    proxies = Proxies({"HTTPS_PROXY": f"http://user:password@{address}:{server}"})
    with rules(engine, Reach(builds=proxies)), hello_server() as other:
        assert build_reaches(ran, address, server)
        assert not build_reaches(ran, address, other)


def test_containers_of_others_keep_the_host_in_reach_while_builds_do_not(
    ran: JobRunner, engine: Engine, server: int
) -> None:
    address = gateway_of(engine)
    with other_container(engine) as (name, container):
        others = others_in_default_network(engine)
        assert name in others
        with rules(engine, Reach(others=others)):
            assert container_reaches(engine, container, address, server)
            assert not build_reaches(ran, address, server)
        with rules(engine, Reach()):
            assert not container_reaches(engine, container, address, server)


def test_a_container_of_others_may_have_our_labels_from_its_image(
    engine: Engine, given_image: Callable[..., str]
) -> None:
    image = given_image("FROM busybox\nLABEL headway.job=a-1 headway.attempt=1\n")
    container = engine.create(ContainerSpec(image, {}, "bridge", command=("sleep", "60")))
    try:
        engine.start(container)
        described = engine.inspect(container)
        assert described
        assert described["Name"].removeprefix("/") in others_in_default_network(engine)
    finally:
        engine.remove(container)


def test_a_container_of_others_reaches_no_metadata_service(engine: Engine, server: int) -> None:
    with other_container(engine) as (name, container), rules(engine, Reach(others=others_in_default_network(engine))):
        counted = ["-L", "HEADWAY-DEFAULT", "-n", "-v", "-x"]
        iptables("-Z", "HEADWAY-DEFAULT")
        assert not container_reaches(engine, container, "169.254.169.254", 80)
        dropped = next(line.split() for line in iptables(*counted).splitlines() if "169.254.0.0/16" in line)
        assert int(dropped[0]) > 0, name


def test_a_running_build_and_a_jobs_containers_are_no_containers_of_others(ran: JobRunner, engine: Engine) -> None:
    spec = ContainerSpec(
        "busybox", job_labels(f"guard-{secrets_hex()}", 1), "bridge", command=("sleep", "60"), aliases=()
    )
    own = engine.create(spec)
    seen: list[set[str]] = []
    try:
        engine.start(own)
        before = set(others_in_default_network(engine))
        inspected = engine.inspect(own)
        assert inspected
        text = f"FROM busybox\nRUN echo {secrets_hex()} began; sleep 2\n"
        job = ran(
            build(dockerfile_inline=text),
            files={"x": ""},
            on_event=lambda event: (
                seen.append(set(others_in_default_network(engine))) if "began" in str(event) else None
            ),
        )
        assert job.states
        assert seen
        assert inspected["Name"].removeprefix("/") not in before | set.union(*seen)
        assert len(set.union(*seen) - before) == 0
    finally:
        engine.remove(own)


def test_ipv6_is_restricted_as_well(engine: Engine) -> None:
    if os.geteuid() != 0 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("needs root and IPv6")
    address = subprocess.run(
        ["ip", "-6", "address", "add", f"{OWN_V6}::1/64", "dev", "docker0", "nodad"], capture_output=True, check=False
    )
    if address.returncode != 0:
        pytest.skip("this machine's default network takes no address of IPv6")
    up = f"echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 addr add {OWN_V6}::2/64 dev eth0; sleep 2"
    inspect = ["docker", "inspect", "--format", "{{.State.Pid}}"]
    try:
        with other_container(engine) as (_, container):
            pid = subprocess.run([*inspect, container], capture_output=True, text=True, check=True).stdout.strip()
            subprocess.run(["nsenter", "--target", pid, "--net", "sh", "-c", up], check=True)
            ping = ["ping", "-6", "-c", "1", "-W", "2", f"{OWN_V6}::1"]
            ask = ["sh", "-c", f"echo | nc -w 2 {OWN_V6}::1 9; echo status $?"]
            for reach, dropped in ((Reach(), True), (OPEN_TO_BUILDS, False)):
                with rules(engine, reach):
                    iptables("-Z", "HEADWAY-DEFAULT", program="ip6tables")
                    assert engine.exec(container, ping)[0] == 0, "neighbours find each other"
                    engine.exec(container, ask)
                    counted = iptables("-L", "HEADWAY-DEFAULT", "-v", "-x", "-n", program="ip6tables").splitlines()
                    drops = [int(line.split()[0]) for line in counted if " DROP " in line and "LOCAL" in line]
                    assert (sum(drops) > 0) == dropped
    finally:
        subprocess.run(["ip", "-6", "address", "del", f"{OWN_V6}::1/64", "dev", "docker0"], check=True)


def test_whether_rules_were_missing_is_reported(engine: Engine, server: int) -> None:
    set_rules(engine, OPEN_TO_BUILDS)
    assert not set_rules(engine, OPEN_TO_BUILDS)
    for lose in (
        ["-F", "HEADWAY-DEFAULT"],
        ["-F", "HEADWAY-JOBS"],
        ["-D", "PREROUTING", "-i", "hw-+", "-j", "HEADWAY-JOBS"],
        ["-D", "FORWARD", "-j", "HEADWAY-FORWARD"],
    ):
        for program in ("iptables", "ip6tables"):
            iptables(*lose, program=program)
            assert set_rules(engine, OPEN_TO_BUILDS), (program, lose)
            assert not set_rules(engine, OPEN_TO_BUILDS)
