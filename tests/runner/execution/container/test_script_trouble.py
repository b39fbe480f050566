"""A script that cannot be run: the sentence says why, where the shell only says "not found"."""

from pathlib import Path

import pytest

from pipelines.plan import PluginStep
from pipelines.state import State
from runner.events import Stream
from runner.execution.container.script_trouble import script_trouble
from tests.support.engine import JobRunner
from tests.support.plans import container, plugin, shell

BASH = "asks for /bin/bash in its first line; use an image that has it"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("./crlf.sh", "./crlf.sh has line ends of Windows (CRLF), which no shell reads"),
        ("sh crlf.sh --all", "crlf.sh has line ends of Windows (CRLF), which no shell reads"),
        ("./ci/bash.sh", f"./ci/bash.sh {BASH}"),
        ("cd ci && ./bash.sh; ci/bash.sh", f"ci/bash.sh {BASH}"),
        ("./python.py", "./python.py asks for /usr/bin/env or python9 in its first line"),
        ("./fine.txt", ""),
        ("./none.sh", ""),
        ("./link.sh", ""),
        ("../../etc/passwd", ""),
        ("/etc/passwd", ""),
        ("frobnicate --all", ""),
    ],
)
def test_the_first_line_of_a_script_says_why_it_does_not_run(tmp_path: Path, command: str, told: str) -> None:
    source = tmp_path / "src"
    (source / "ci").mkdir(parents=True)
    (source / "crlf.sh").write_bytes(b"echo a\r\necho b\r\n")
    (source / "ci" / "bash.sh").write_bytes(b"#!/bin/bash -e\necho\n")
    (source / "python.py").write_bytes(b"#!/usr/bin/env python9\n")
    (source / "fine.txt").write_bytes(b"text")
    (source / "link.sh").symlink_to("ci/bash.sh")
    found = script_trouble(tmp_path, "/headway", "/headway/src", [command])
    assert found.startswith(told)
    assert bool(found) is bool(told)


def test_a_file_that_the_shell_may_not_run_is_said_before_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    for name, mode in (("a.sh", 0o644), ("b.sh", 0o755)):
        (tmp_path / "src" / name).write_text("#!/bin/bash\n")
        (tmp_path / "src" / name).chmod(mode)

    def told(command: str) -> str:
        return script_trouble(tmp_path, "/headway", "/headway/src", [command], not_runnable=True)

    change = "commit it after `git update-index --chmod=+x a.sh`, or run it by its shell (sh ./a.sh)"
    assert told("./a.sh --all") == f"./a.sh is not executable: {change}"
    assert told("./b.sh") == f"./b.sh {BASH}"
    assert told("bash a.sh; ./b.sh") == f"a.sh {BASH}"


def test_where_commands_start_outside_of_the_workspace_nothing_is_read(tmp_path: Path) -> None:
    assert script_trouble(tmp_path, "/headway", "/tmp", ["./a.sh"]) == ""
    assert script_trouble(tmp_path, "/headway", "", ["./a.sh"]) == ""


@pytest.mark.engine
def test_what_a_step_is_told_of_its_surroundings(ran: JobRunner) -> None:
    mine: PluginStep = plugin(container(entrypoint=None, environment={}), failure="ignore")
    job = ran(
        shell("chmod +x a.sh", "./a.sh", failure="ignore"),
        shell("./b.sh", failure="ignore"),
        shell("pwd", "echo $CI_STEP_URL $CI_PIPELINE_STATUS", box=container(directory="/headway/src/nowhere")),
        mine,
        files={"a.sh": "#!/bin/bash\necho never\n", "b.sh": "#!/bin/sh\n"},
        step_url=lambda number: f"https://ci.example.org/{number}",
    )
    assert job.step(1).message.endswith(f"; a.sh {BASH}")
    assert "(found, but it cannot be executed); ./b.sh is not executable: commit it after" in job.step(2).message
    assert job.said(3) == ["/headway/src/nowhere", "https://ci.example.org/3 success"]
    missing = b"headway: the directory /headway/src/nowhere is not there, and is made; `directory` is relative"
    assert job.log(3, Stream.STDERR).startswith(missing)
    assert job.outcome.state is State.PASSED
