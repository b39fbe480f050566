"""Jobs do not reach each other, also in the moments in which Docker sets its own rules anew."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec, job_labels
from runner.docker.job_network import JobNetwork
from runner.network.host_rules import BRIDGE_PREFIX
from tests.support.engine import eventually
from tests.support.host_rules import OPEN_TO_BUILDS, set_rules
from tests.support.plans import secrets_hex

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("rules_alone")]

SERVE = "while :; do echo reached | nc -l -p 8000 >/dev/null; done"
# Without rules of our own, about every fourth network that was made let one of them through.
ATTACK = "echo up; for n in 1 2 3 4 5 6; do (while :; do nc -w 1 {} 8000 </dev/null 2>/dev/null; done) & done; wait"
NETWORKS = 30


@contextmanager
def running(engine: Engine, network: str, key: str, command: str) -> Iterator[str]:
    """A container that runs a command of the shell; its id."""
    spec = ContainerSpec(
        image="busybox:latest",
        labels=job_labels(key, 1),
        network=network,
        entrypoint=("/bin/sh", "-c"),
        command=(command,),
    )
    container = engine.create(spec)
    try:
        engine.start(container)
        yield container
    finally:
        engine.remove(container)


def address(engine: Engine, container: str, network: str) -> str:
    found = engine.inspect(container)
    assert found is not None
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture
def networks(engine: Engine) -> Iterator[tuple[JobNetwork, JobNetwork]]:
    with ExitStack() as at_the_end:
        keys = (f"apart-{secrets_hex()}", f"apart-{secrets_hex()}")
        made = [JobNetwork(engine, key, 1, BRIDGE_PREFIX) for key in keys]
        for network in made:
            at_the_end.callback(network.close)
            network.ensure()
        yield made[0], made[1]


def test_no_connection_passes_while_other_networks_are_made(
    engine: Engine, networks: tuple[JobNetwork, JobNetwork]
) -> None:
    set_rules(engine, OPEN_TO_BUILDS)
    own, other, key = networks[0].name, networks[1].name, f"apart-{secrets_hex()}"
    with running(engine, own, key, SERVE) as server:
        target = address(engine, server, own)
        attack = ATTACK.format(target)
        with running(engine, other, key, attack) as stranger, running(engine, "bridge", key, attack) as build:
            eventually(lambda: all(b"up" in engine.logs(each, 1) for each in (stranger, build)))
            for number in range(NETWORKS):
                network = JobNetwork(engine, f"{key}-{number}", 1)
                network.ensure()
                network.close()
            assert engine.logs(stranger, 20) == b"up\n"
            assert engine.logs(build, 20) == b"up\n"
        with running(engine, own, key, ATTACK.format(target)) as neighbour:
            eventually(lambda: b"reached" in engine.logs(neighbour, 20))


def test_a_job_does_not_reach_the_default_network(engine: Engine, networks: tuple[JobNetwork, JobNetwork]) -> None:
    set_rules(engine, OPEN_TO_BUILDS)
    key = f"apart-{secrets_hex()}"
    with running(engine, "bridge", key, SERVE) as server:
        target = address(engine, server, "bridge")
        with running(engine, networks[0].name, key, f"nc -w 1 {target} 8000 </dev/null; echo tried") as job:
            eventually(lambda: b"tried" in engine.logs(job, 5))
            assert b"reached" not in engine.logs(job, 5)
