"""The worker keeps the rules of the engine's host in place, and says what it found."""

import os
from collections.abc import Iterator
from fcntl import LOCK_EX
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from runner.docker.client import Engine
from runner.network.egress import NO_EGRESS_SETTINGS
from runner.network.host_guard import others_in_default_network
from tests.support.engine import eventually
from tests.support.host_rules import OPEN_TO_BUILDS, iptables, lock, set_rules
from tests.support.plans import secrets_hex
from workers.jobs.machine.host_rules import SET_AGAIN_S, HostRulesUpkeep
from workers.settings import Settings, load_settings

pytestmark = pytest.mark.engine
LOCAL = "--dst-type LOCAL -j DROP"


class Clock:
    """Shows the seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _set_back(engine: Engine) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the rules are those of this machine")
    with lock(LOCK_EX):
        set_rules(engine, OPEN_TO_BUILDS)
        yield
        set_rules(engine, OPEN_TO_BUILDS)


def settings(folder: Path, **values: object) -> Settings:
    return load_settings(data_dir=folder, **values)


def upkeep(chosen: Settings, clock: Clock) -> HostRulesUpkeep:
    return HostRulesUpkeep(f"guard-{secrets_hex()}", NO_EGRESS_SETTINGS, chosen, clock)


def chain(name: str = "HEADWAY-DEFAULT") -> str:
    return iptables("-S", name)


def other_container(engine: Engine) -> str:
    made = engine._client.containers.run("busybox", ["sleep", "120"], detach=True, name=f"hostrules-{secrets_hex()}")
    return str(made.name)


def test_rules_that_were_removed_come_back_and_the_log_says_so(engine: Engine, clock: Clock, tmp_path: Path) -> None:
    rules = upkeep(settings(tmp_path, builds_reach_host="true"), clock)
    with capture_logs() as logs:
        rules.look(engine)
    assert not logs, "at the start nothing is lost yet"
    for name in ("HEADWAY-JOBS", "HEADWAY-DEFAULT"):
        iptables("-F", name)
    clock.now_s += SET_AGAIN_S - 1
    rules.look(engine)
    assert "DROP" not in chain(), "it is too early to look"
    clock.now_s += 1
    with capture_logs() as logs:
        rules.look_in_background(engine)
        eventually(lambda: LOCAL in chain("HEADWAY-JOBS") and logs)
    assert "were missing in its firewall, and are set again" in logs[0]["event"]
    clock.now_s += SET_AGAIN_S
    with capture_logs() as logs:
        rules.look(engine)
    assert not logs


def test_containers_of_others_are_named_once_and_keep_what_they_reached(
    engine: Engine, clock: Clock, tmp_path: Path
) -> None:
    rules = upkeep(settings(tmp_path, builds_reach_host="auto"), clock)
    rules.look(engine)
    assert LOCAL in chain()
    other = other_container(engine)
    try:
        (address,) = others_in_default_network(engine)[other]
        with capture_logs() as logs:
            rules.look(engine)
            clock.now_s += SET_AGAIN_S
            rules.look(engine)
        (warning,) = [entry["event"] for entry in logs if other in entry["event"]]
        assert "builds do not reach this engine's host, but these containers" in warning
        assert "HEADWAY_BUILDS_REACH_HOST" in warning
        assert f"-s {address}/32 -j RETURN" in chain()
        upkeep(settings(tmp_path, builds_reach_host="false"), clock).look(engine)
        assert f"-s {address}/32" not in chain(), "the setting says that nothing of the network reaches the host"
        rules.look(engine)
    finally:
        engine.remove(other)
    rules.look(engine)
    assert f"-s {address}/32" not in chain(), "the next build may get the address"


@pytest.mark.parametrize(
    ("steps", "builds", "jobs_closed", "builds_closed"),
    [
        (False, "auto", True, True),
        (False, "false", True, True),
        (False, "true", True, False),
        (True, "false", True, True),
    ],
)
def test_what_each_setting_closes(
    engine: Engine, clock: Clock, tmp_path: Path, steps: bool, builds: str, jobs_closed: bool, builds_closed: bool
) -> None:
    for name in ("HEADWAY-JOBS", "HEADWAY-DEFAULT"):
        iptables("-F", name)
    upkeep(settings(tmp_path, steps_reach_host=steps, builds_reach_host=builds), clock).look(engine)
    assert (LOCAL in chain("HEADWAY-JOBS"), LOCAL in chain()) == (jobs_closed, builds_closed)


@pytest.mark.parametrize("builds", ["auto", "true"])
def test_where_steps_reach_the_host_no_rule_is_set(engine: Engine, clock: Clock, tmp_path: Path, builds: str) -> None:
    iptables("-F", "HEADWAY-JOBS")
    rules = upkeep(settings(tmp_path, steps_reach_host=True, builds_reach_host=builds), clock)
    rules.look(engine)
    rules.look_in_background(engine)
    assert "DROP" not in chain("HEADWAY-JOBS")
