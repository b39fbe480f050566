"""Steps and services do not reach the engine's host, nor the metadata service of its cloud."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec, job_labels
from runner.docker.images.sandbox_image import archive_of, image_archive
from runner.docker.job_network import JobNetwork
from runner.errors import MachineError
from runner.network.host_guard import GUARD_IMAGE, GuardError, Reach, guard_host
from runner.network.host_rules import BRIDGE_PREFIX
from runner.network.proxies import Proxies
from tests.support.fake_engine import DOCKER, fake_engine
from tests.support.host_rules import OPEN_TO_BUILDS, hello_server
from tests.support.plans import secrets_hex

# Any address of the range in which clouds have their metadata service.
METADATA = "169.254.77.77"
pytestmark = pytest.mark.usefixtures("rules_alone")


@pytest.fixture
def server() -> Iterator[int]:
    """A server on all addresses of this host, one of which is in the range of metadata services; its port."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root, to give this host an address")
    subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    try:
        with hello_server() as port:
            yield port
    finally:
        subprocess.run(["ip", "address", "del", f"{METADATA}/32", "dev", "lo"], check=True)


class Attempt:
    """A network of a job, and what a container on it can do."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self._engine = engine
        self._key = f"guard-{secrets_hex()}"
        self.network = JobNetwork(engine, self._key, 1, prefix)

    def run(self, command: str, network: str = "") -> tuple[int, str]:
        spec = ContainerSpec(
            image="busybox:latest",
            labels=job_labels(self._key, 1),
            network=network or self.network.ensure(),
            entrypoint=("/bin/sh", "-c"),
            command=(command,),
        )
        container = self._engine.create(spec)
        try:
            self._engine.start(container)
            return self._engine.wait(container, 30) or 0, self._engine.logs(container, 20).decode()
        finally:
            self._engine.remove(container)


def reaches(attempt: Attempt, address: str, port: int, network: str = "") -> bool:
    """Whether a container on the network gets an answer from the server."""
    request = r"printf 'GET / HTTP/1.0\r\n\r\n'"
    return "reached" in attempt.run(f"{request} | timeout 3 nc {address} {port}", network)[1]


GATEWAY = "$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p')"


@pytest.mark.engine
def test_a_restricted_network_reaches_no_address_of_the_host_and_any_other_does(engine: Engine, server: int) -> None:
    guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)
    guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)  # again: it must be idempotent
    restricted, free = Attempt(engine, BRIDGE_PREFIX), Attempt(engine, "")
    try:
        for address in (GATEWAY, METADATA):
            assert reaches(free, address, server), address
            assert not reaches(restricted, address, server), address
    finally:
        restricted.network.close()
        free.network.close()


@pytest.mark.engine
def test_builds_do_not_reach_the_metadata_service(engine: Engine, server: int) -> None:
    guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)
    attempt = Attempt(engine, "")
    assert not reaches(attempt, METADATA, server, "bridge")
    assert reaches(attempt, GATEWAY, server, "bridge")


@pytest.mark.engine
def test_a_proxy_on_the_host_is_reached_and_its_other_ports_are_not(engine: Engine, server: int) -> None:
    attempt = Attempt(engine, BRIDGE_PREFIX)
    try:
        gateway = attempt.run(f"echo {GATEWAY}")[1].strip()
        proxies = Proxies({"HTTP_PROXY": f"http://user:password@{gateway}:{server}"})
        guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), Reach(proxies, proxies, builds_reach_host=True))
        assert reaches(attempt, gateway, server)
        with hello_server() as other:
            assert not reaches(attempt, gateway, other)
        guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)
        assert not reaches(attempt, gateway, server)
    finally:
        attempt.network.close()


@pytest.mark.engine
def test_what_connects_from_the_host_gets_its_answers(engine: Engine) -> None:
    guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)
    attempt = Attempt(engine, BRIDGE_PREFIX)
    found: list[tuple[int, str]] = []
    listen = "hostname -i; echo hello | timeout 20 nc -l -p 4000"
    try:
        network = attempt.network.ensure()
        thread = threading.Thread(target=lambda: found.append(attempt.run(listen)))
        thread.start()
        deadline_s = time.monotonic() + 15
        answer = b""
        while b"hello" not in answer and time.monotonic() < deadline_s:
            answer = _ask_network(network)
            time.sleep(0.2)
        thread.join()
        assert b"hello" in answer
    finally:
        attempt.network.close()


def _ask_network(network: str) -> bytes:
    form = "{{range .Containers}}{{.IPv4Address}} {{end}}"
    shown = subprocess.run(
        ["docker", "network", "inspect", "-f", form, network], capture_output=True, text=True, check=True
    )
    for address in shown.stdout.split():
        reader = ["busybox", "timeout", "2", "busybox", "nc", address.partition("/")[0], "4000"]
        return subprocess.run(reader, capture_output=True, stdin=subprocess.DEVNULL, check=False).stdout
    return b""


@pytest.mark.engine
def test_where_the_rules_cannot_be_set_the_error_says_what_to_do(engine: Engine) -> None:
    """As on a host whose programs are not where the image expects them: its links lead nowhere."""
    subprocess.run(["docker", "rmi", GUARD_IMAGE], capture_output=True, check=False)
    nothing = archive_of({}, {"bin": "nowhere"})
    engine.load_image(image_archive(GUARD_IMAGE, engine.connection.version.arch, nothing))
    try:
        with pytest.raises(GuardError, match=r"Install iptables on the host.*HEADWAY_STEPS_REACH_HOST=true"):
            guard_host(engine, f"guard-{secrets_hex()}", int(time.time()), OPEN_TO_BUILDS)
    finally:
        subprocess.run(["docker", "rmi", GUARD_IMAGE], capture_output=True, check=True)


def test_an_engine_that_does_not_say_which_bridge_builds_have_gets_no_rules(tmp_path: Path) -> None:
    """Rules without that bridge would leave the host open to builds, and nothing would say so."""
    with fake_engine(tmp_path, DOCKER, json='{"Id": "sha256:1"}') as server:
        server.bodies = {**server.bodies, "/networks/bridge": (500, '{"message": "the store is locked"}')}
        engine = Engine(server.host)
        try:
            with pytest.raises(MachineError, match="the store is locked"):
                guard_host(engine, "guard", 1, Reach())
            assert not [path for path in server.asked if path.endswith("/create")]
        finally:
            engine.close()
