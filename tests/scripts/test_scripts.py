"""Scripts that run a command: they forward signals to it, and wait until it has ended."""

import signal
import subprocess
import sys

import pytest

from tests.support.paths import SCRIPTS

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
