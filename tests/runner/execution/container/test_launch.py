"""Our shell starts whatever the user's environment is, and its commands see exactly that environment."""

import shutil
import subprocess
from collections.abc import Callable, Mapping

import pytest

from pipelines.state import State
from pipelines.step_options.ready import CommandCheck, HttpCheck, PortCheck
from runner.execution.container.gate import gate_input
from runner.execution.container.launch import DEFAULT_PATH, launch
from runner.execution.container.script import script_of
from tests.runner.execution.container.test_gate import SCRIPT_FILE, SHELLS, TOKEN
from tests.support.engine import JobRunner
from tests.support.init import run_gate
from tests.support.plans import container, service, shell

IMAGE = {"PATH": DEFAULT_PATH}
HOSTILE = {
    "PATH": "/usr/local/bin",
    "ENV": "/nonexistent/env",
    "BASH_ENV": "/nonexistent/bash-env",
    "IFS": "ae",
    "LD_PRELOAD": "/nonexistent/lib.so",
    "LD_LIBRARY_PATH": "/nonexistent",
    "PS4": "$(echo traced >&2)",
    "POSIXLY_CORRECT": "1",
    "HOME": "/nonexistent",
    "TMPDIR": "/nonexistent",
    "GLOBIGNORE": "*",
    "CDPATH": "/nonexistent",
    "TMOUT": "1",
    "EXECIGNORE": "*",
    "FUNCNEST": "1",
    "TINI_VERBOSITY": "0",
    "QUOTES": 'it\'s "$HOME" `x` \\ \n end',
}


def run_shell(
    program: list[str], given: Mapping[str, str], commands: list[str], image: Mapping[str, str] = IMAGE
) -> subprocess.CompletedProcess[bytes]:
    """Runs the commands behind the gate, as in a container with this environment."""
    ready = launch(given, image)
    program = [shutil.which(program[0]) or program[0], *program[1:]]
    data = gate_input(TOKEN, script_of(commands, "/tmp", {"CI_PIPELINE_STATUS": "success"}, ready.restore))
    environment = {**image, **given, **ready.overrides}
    return run_gate([*program, SCRIPT_FILE], data, environment)


def said(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    found = done.stdout.split(b"\x1e")[0].decode().splitlines()
    return [line for line in found if not line.startswith("+ ")]


@pytest.mark.parametrize("program", SHELLS, ids=lambda program: program[-1])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_variable_changes_nothing_before_the_commands_which_see_it(program: list[str], name: str) -> None:
    done = run_shell(program, {name: HOSTILE[name]}, [f'echo "[${name}]"', 'echo "${HEADWAY_ENV_1-gone}"'])
    assert done.returncode == 0, done.stderr
    assert "\n".join(said(done)) == f"[{HOSTILE[name]}]\ngone"


@pytest.mark.parametrize("program", SHELLS, ids=lambda program: program[-1])
def test_all_of_them_together_reach_the_programs_that_the_commands_call(program: list[str]) -> None:
    look = shutil.which("env")
    done = run_shell(program, HOSTILE, [f"{look} -u LD_PRELOAD {look}"])
    assert done.returncode == 0, done.stderr
    seen = dict(line.partition("=")[::2] for line in said(done) if "=" in line)
    wanted = {name: value for name, value in HOSTILE.items() if name not in {"LD_PRELOAD", "QUOTES"}}
    assert {name: seen.get(name) for name in wanted} == wanted
    assert not [name for name in seen if name.startswith("HEADWAY_")]


@pytest.mark.parametrize("program", SHELLS, ids=lambda program: program[-1])
@pytest.mark.parametrize("options", ["noexec", "xtrace:errexit", "nounset:pipefail", "nonsense", ""])
def test_shell_options_are_those_of_the_commands_alone(program: list[str], options: str) -> None:
    is_bash = program == ["bash"]
    done = run_shell(
        ["bash", "--posix"] if is_bash else program, {"SHELLOPTS": options}, ["echo one", "echo $SHELLOPTS"]
    )
    assert done.returncode == 0, done.stderr
    if not is_bash:
        assert said(done) == (["one", options] if options else ["one", ""])
    elif options == "noexec":
        assert said(done) == []
    else:
        assert said(done)[0] == "one"
        assert set(options.split(":")) - {"nonsense", ""} <= set(said(done)[1].split(":"))


def test_the_functions_that_bash_exports_do_not_replace_ours_but_reach_the_commands() -> None:
    given = {
        f"BASH_FUNC_{name}%%": "() {  echo replaced\n}" for name in ("printf", "kill", "read", "mkdir", "cd", "mine")
    }
    given |= {
        "BASH_FUNC_unset%%": "() { exit 9; }",
        "BASH_FUNC_od-d%%": "() { :; }",
        "BASH_FUNC_bad%%": "() { (",
        "BASHOPTS": "extglob:nonsense",
    }
    done = run_shell(["bash", "--posix"], given, ["mine", "bash -c mine", "pwd", "shopt extglob"])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split(b"\x1e")[0].decode().splitlines()
    assert [line for line in lines if line != "replaced"] == ["/tmp", "extglob        \ton"]
    assert done.stdout.endswith(b" 0 0\n")


@pytest.mark.parametrize(
    ("image", "given", "path"),
    [
        ({}, {}, None),
        ({"PATH": DEFAULT_PATH}, {}, None),
        ({"PATH": "/app:/bin"}, {}, None),
        ({"PATH": "/app"}, {}, f"/app:{DEFAULT_PATH}"),
        ({"PATH": "/app:/bin"}, {"PATH": "/x"}, "/app:/bin"),
        ({"PATH": "/app"}, {"PATH": "/x"}, f"/app:{DEFAULT_PATH}:/x"),
        ({}, {"PATH": ""}, DEFAULT_PATH),
    ],
)
def test_the_path_on_which_the_shell_is_found(image: dict[str, str], given: dict[str, str], path: str | None) -> None:
    assert launch(given, image).overrides.get("PATH") == path


def test_what_changes_nothing_for_a_shell_is_left_alone() -> None:
    assert launch(
        {"HOME": "/x", "CI": "headway", "a.b": "1"}, {"PATH": DEFAULT_PATH, "LD_PRELOAD": "/jemalloc.so"}
    ) == ({}, ())


@pytest.mark.engine
def test_steps_run_with_any_environment_and_see_it(ran: JobRunner) -> None:
    look = "/bin/env | /bin/grep -E '^(PATH|ENV|IFS|SHELLOPTS|LD_PRELOAD|TINI_KILL_PROCESS_GROUP)=' | /bin/sort"
    given = {**HOSTILE, "SHELLOPTS": "xtrace", "TINI_KILL_PROCESS_GROUP": "0"}
    job = ran(shell("export LD_PRELOAD", look, box=container(environment=given)), shell("true"))
    assert job.states == [State.PASSED, State.PASSED]
    assert job.said(1) == [
        "ENV=/nonexistent/env", "IFS=ae", "LD_PRELOAD=/nonexistent/lib.so", "PATH=/usr/local/bin", "SHELLOPTS=xtrace",
        "TINI_KILL_PROCESS_GROUP=0",
    ]  # fmt: skip


@pytest.mark.engine
def test_an_image_whose_own_path_has_no_shell_runs_commands(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image = given_image("FROM busybox\nENV PATH=/opt/app SHELLOPTS=noexec TMOUT=1\n")
    job = ran(shell("echo $PATH $SHELLOPTS $TMOUT", box=container(image)))
    assert job.said() == ["/opt/app noexec 1"]


@pytest.mark.engine
def test_services_start_and_get_ready_with_any_environment(ran: JobRunner) -> None:
    given = {"PATH": "/opt", "LD_PRELOAD": "/nonexistent", "SHELLOPTS": "xtrace"}
    box = container(directory="", environment=given)
    listen = "echo \"$PATH\" > /tmp/path; while true; do echo -e 'HTTP/1.0 200 OK\\n' | /bin/nc -l -p 80; done"
    job = ran(
        shell("true"),
        services=[
            service(
                "a",
                listen,
                box=box,
                ready=CommandCheck(command='[ "$PATH" = /opt ] && [ "$(/bin/cat /tmp/path)" = /opt ]'),
            ),
            service("b", listen, box=box, ready=HttpCheck(url="http://:80/"), ready_timeout_s=20),
            service("c", listen, box=box, ready=PortCheck(port=80)),
            service(
                "d",
                box=container(directory="", environment=given, entrypoint=("/bin/sleep", "1000")),
                ready=CommandCheck(command='[ "$PATH" = /opt ]'),
            ),
        ],
    )
    assert job.outcome.state is State.PASSED, job.outcome
