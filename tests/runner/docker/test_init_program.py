"""The first process of containers: starts a program as docker-init does, forwards signals, is made from its source."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker import init_program as module
from runner.docker.init_program import MEASURE_TOKEN_BYTES_MAX, init_program, noexec_problem, write_init
from runner.errors import MachineError
from tests.support.init import init_here
from tests.support.paths import ROOT
from tests.support.services import need

FOLDER = Path(module.__file__).with_name("init")
COMPILER = "12.2.0"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [init_here(), "run", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=20)


def program(folder: Path, name: str, text: str, mode: int = 0o755) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_programs_are_made_from_the_source() -> None:
    """If this fails: scripts/build_init.sh."""
    assert (FOLDER / "source.sha256").read_text().strip() == hashlib.sha256(
        (FOLDER / "init.c").read_bytes()
    ).hexdigest()


@pytest.mark.slow
def test_the_compiler_makes_the_same_program(tmp_path: Path) -> None:
    gcc = need(shutil.which("gcc"), "gcc")
    version = subprocess.run([gcc, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    if version != COMPILER or not Path("/etc/debian_version").exists():
        pytest.skip(f"the programs in the repository are made by Debian's gcc {COMPILER}")
    subprocess.run([ROOT / "scripts/build_init.sh", tmp_path], check=True)
    for made in tmp_path.glob("init-*"):
        assert made.read_bytes() == (FOLDER / made.name).read_bytes()


@pytest.mark.parametrize(("arch", "machine"), [("amd64", 62), ("arm64", 183)])
def test_each_program_is_for_its_processor_and_needs_no_library(arch: str, machine: int) -> None:
    data = init_program(arch)
    assert data[:5] == b"\x7fELF\x02"
    assert int.from_bytes(data[18:20], "little") == machine
    assert b"ld-linux" not in data
    assert len(data) < 8192


def test_a_processor_without_a_program_is_named() -> None:
    with pytest.raises(MachineError, match="runs on riscv64; Headway can work with amd64 and arm64") as raised:
        init_program("riscv64")
    assert raised.value.reason is Reason.ENGINE_UNSUITABLE


def test_every_user_may_run_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_init(tmp_path / "init", "amd64")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "init", tmp_path / "init/init")] == [0o755, 0o755]
    assert str((tmp_path / "init/commands").readlink()) == "/proc/self/fd/3"


def test_a_folder_without_programs_is_told(tmp_path: Path) -> None:
    assert noexec_problem(tmp_path) == ""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    places = [mount[1] for mount in mounts if "noexec" in mount[3].split(",") and Path(mount[1]).is_dir()]
    if not places:
        pytest.skip("this machine has no file system mounted with noexec")
    problem = noexec_problem(Path(places[-1]))
    assert f"from {places[-1]}: its file system is mounted with `noexec`; let TMPDIR" in problem


def test_the_exit_status_is_the_programs() -> None:
    assert run("/bin/sh", "-c", "exit 7").returncode == 7
    assert run("/bin/sh", "-c", "kill -9 $$").returncode == 137


def test_where_the_control_group_is_not_its_own_nothing_is_reported() -> None:
    command = [init_here(), "measure", "token", "/bin/sh", "-c", "echo said; exit 7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (7, "said\n", "")


def test_a_token_that_is_too_long_is_refused() -> None:
    for length, status in ((MEASURE_TOKEN_BYTES_MAX, 0), (MEASURE_TOKEN_BYTES_MAX + 1, 125)):
        command = [init_here(), "measure", "t" * length, "/bin/true"]
        assert subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == status


def test_arguments_and_variables_reach_the_program_as_they_are() -> None:
    done = run("/usr/bin/env", **{"A.B": "1", "EMPTY": "", "LINES": "a\nb"})
    assert done.stdout == "A.B=1\nEMPTY=\nLINES=a\nb\n"
    assert run("/usr/bin/printf", "[%s]", "", "a b", "'").stdout == "[][a b][']"


def test_a_program_is_looked_for_as_by_a_shell(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    program(tmp_path / "first", "tool", "#!/bin/sh\necho first\n", 0o644)
    program(tmp_path / "second", "tool", "#!/bin/sh\necho second\n")
    path = f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second"
    assert run("tool", PATH=path).stdout == "second\n"
    assert run("sh", "-c", "echo found").stdout == "found\n"
    assert run("tool", PATH=f"{tmp_path}/none:{tmp_path}/first").returncode == 126
    assert run("tool", PATH=f"{tmp_path}/none::").returncode == 127


@pytest.mark.parametrize(
    ("text", "mode", "status", "said"),
    [
        (None, 0, 127, "not found"),
        ("#!/no/such/interpreter\n", 0o755, 127, "not found"),
        ("echo\n", 0o644, 126, "it may not be executed"),
        ("#!/bin/sh\nexit 5\n", 0o755, 5, ""),
        ("echo without a first line; exit 6\n", 0o755, 6, ""),
    ],
)
def test_a_program_that_cannot_be_started_is_told_with_the_status_of_docker_init(
    tmp_path: Path, text: str | None, mode: int, status: int, said: str
) -> None:
    path = program(tmp_path, "tool", text, mode) if text else str(tmp_path / "tool")
    done = run(path)
    assert done.returncode == status
    assert done.stderr.startswith(f"headway: cannot start {path}: {said}" if said else "")
    assert bool(done.stderr) is bool(said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN])
def test_signals_reach_the_program(number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 3' {int(number)}; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [init_here(), "run", "/bin/bash", "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == "got\n"
        assert process.wait(10) == 3


def test_the_program_leads_a_process_group_and_meets_no_blocked_signal() -> None:
    done = run("/bin/sh", "-c", "read -r pid name state parent group rest </proc/self/stat; [ $pid = $group ]; echo $?")
    assert done.stdout == "0\n"
    assert "SigBlk:\t0000000000000000" in run("/bin/cat", "/proc/self/status").stdout


def with_files(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([init_here(), "files", *arguments], input=data, capture_output=True, check=False, timeout=20)


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_files_are_written_before_the_program_starts(memory: Path) -> None:
    data = f"5 440 {memory}/a\n1\n3\n\n0 600 {memory}/b\n\n".encode()
    done = with_files(data, "run", "/bin/sh", "-c", f"cat {memory}/a; stat -c %a {memory}/a {memory}/b; cat; echo end")
    assert (done.returncode, done.stdout) == (0, b"1\n3\n\n440\n600\nend\n")


def test_a_gate_takes_the_files_before_its_script(memory: Path) -> None:
    script = b'cat "$0" >/dev/null; cat ' + str(memory).encode() + b"/a\n"
    data = f"3 400 {memory}/a\nabc\ntoken {len(script)}\n".encode() + script
    done = with_files(data, "gate", "/bin/sh", "/proc/self/fd/3")
    assert done.stdout == b"abc\x1etoken 0 0\n"


@pytest.mark.parametrize("data", [b"", b"5 400 FOLDER/a\nabc", b"5 400 FOLDER/a\nabcde", b"x 400 /a\n\n", b"1 9 /a\n"])
def test_without_all_files_no_program_starts(memory: Path, data: bytes) -> None:
    done = with_files(data.replace(b"FOLDER", str(memory).encode()), "run", "/bin/sh", "-c", "echo never")
    assert (done.returncode, done.stdout) == (125, b"")


def test_a_path_that_is_too_long_is_refused(memory: Path) -> None:
    done = with_files(b"0 400 /" + b"a" * 5000 + b"\n\n", "run", "/bin/sh", "-c", "echo never")
    assert (done.returncode, done.stdout) == (125, b"")


def test_a_file_on_a_disk_or_one_that_is_there_is_refused(memory: Path, tmp_path: Path) -> None:
    (memory / "there").write_text("before")
    for place, why in (
        (tmp_path / "a", "on a disk"),
        (memory / "there", "cannot make"),
        (memory / "no/a", "cannot make"),
    ):
        done = with_files(f"3 400 {place}\nabc\n".encode() + b"\n", "run", "/bin/sh", "-c", "echo never")
        assert (done.returncode, done.stdout) == (1, b"")
        assert f"headway: the secret is not written to {place}: ".encode() in done.stderr
        assert why.encode() in done.stderr
    assert (memory / "there").read_text() == "before"
    assert (tmp_path / "a").read_bytes() == b""
