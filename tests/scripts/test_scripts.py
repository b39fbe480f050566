"""Scripts that run a command: they forward signals to it, wait until it has ended, and remove what it left."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from runner.docker.client import Engine
from runner.docker.containers.specs import ContainerSpec
from tests.support.paths import SCRIPTS
from tests.support.plans import secrets_hex

LISTENS = """
import signal, sys, time
for name in ("TERM", "HUP", "INT"):
    signal.signal(getattr(signal, f"SIG{name}"), lambda *_, name=name: (time.sleep(0.3), print(name), sys.exit(7)))
print("ready", flush=True)
time.sleep(60)
"""
SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


def sent(number: signal.Signals, *command: str) -> tuple[int, list[str]]:
    """The exit status and output of the command; the signal is sent to the script alone, once the command is ready."""
    with subprocess.Popen(
        ["env", "--default-signal", *command], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        return process.wait(30), process.stdout.read().splitlines()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_forwarded_and_the_command_waited_for(number: signal.Signals) -> None:
    script = f'. {SCRIPTS}/lib.sh; trap "echo cleaned up" EXIT; run_command "$@"'
    status, said = sent(number, "bash", "-c", script, "name", sys.executable, "-c", LISTENS)
    assert (status, said) == (7, [number.name.removeprefix("SIG"), "cleaned up"])


def test_the_command_has_the_scripts_input_and_sets_its_exit_status() -> None:
    script = f'. {SCRIPTS}/lib.sh; run_command "$@"'
    command = ["bash", "-c", script, "name", "sh", "-c", "cat; exit 3"]
    done = subprocess.run(command, input=b"given", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"given")


@pytest.mark.engine
def test_a_command_with_an_engine_gets_the_signal() -> None:
    status, said = sent(signal.SIGTERM, str(SCRIPTS / "with-engine.sh"), sys.executable, "-c", LISTENS)
    assert (status, said) == (7, ["TERM"])


# In a network namespace of their own, so that this machine's rules are not touched.
RULES = """
for program in iptables ip6tables; do
  for chain in HEADWAY-JOBS HEADWAY-DEFAULT HEADWAY-FORWARD OTHERS; do
    $program -t mangle -N $chain; $program -t mangle -A $chain -d ::1 -j DROP 2>/dev/null
    $program -t mangle -A PREROUTING -i docker0 -j $chain
    $program -t mangle -A PREROUTING -i hw-+ -j $chain
    $program -t mangle -A FORWARD -j $chain
  done
done
"""
SHOW = "iptables -t mangle -S; ip6tables -t mangle -S"


def said_in_namespace(script: str, **environment: str) -> str:
    if os.geteuid() != 0 or not shutil.which("iptables") or not shutil.which("unshare"):
        pytest.skip("needs root and iptables")
    given = {name: value for name, value in os.environ.items() if name != "HEADWAY_KEEP_HOST_RULES"} | environment
    command = ["unshare", "--net", "bash", "-c", script]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_workers_rules_are_removed_by_their_names_and_others_stay() -> None:
    said = said_in_namespace(
        f'{RULES} . {SCRIPTS}/lib.sh; remove_host_rules; has_host_rules && echo "still there"; {SHOW}'
    )
    assert "HEADWAY" not in said
    assert "still there" not in said
    assert said.count("-A PREROUTING -i hw-+ -j OTHERS") == 2


@pytest.mark.engine
def test_rules_that_a_command_sets_are_removed_after_it_and_older_ones_stay() -> None:
    with_engine = f"{SCRIPTS}/with-engine.sh bash -c '{RULES}' >/dev/null; {SHOW}"
    assert "HEADWAY" not in said_in_namespace(with_engine)
    assert "HEADWAY-JOBS" in said_in_namespace(with_engine, HEADWAY_KEEP_HOST_RULES="yes")
    old = f"{RULES} {SCRIPTS}/with-engine.sh true >/dev/null; {SHOW}"
    assert said_in_namespace(old).count("-A PREROUTING -i docker0 -j HEADWAY-DEFAULT") == 2


@pytest.mark.engine
def test_what_killed_tests_left_of_compose_is_removed_and_others_stay(engine: Engine) -> None:
    start = f"left-{secrets_hex()}-"
    projects = (f"{start}1", f"{start}2", f"other-{start}1")
    made = [engine.create(stack_container(project)) for project in projects]
    try:
        command = ["bash", "-c", f". {SCRIPTS}/lib.sh; remove_stacks {start}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert [engine.inspect(each) is not None for each in made] == [False, False, True]
        assert said.splitlines() == [f"headway: removing what is left of {project} ..." for project in projects[:2]]
    finally:
        for each in made:
            engine.remove(each)


def stack_container(project: str) -> ContainerSpec:
    return ContainerSpec("busybox", {"com.docker.compose.project": project}, "none", command=("true",))
