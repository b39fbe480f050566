"""What root in a step's container may ask of the kernel, the engine and the host: nothing that leads out."""

import json
import platform

import pytest

from pipelines.state import State
from runner.events import Stream
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import build, container, plugin, service, shell

pytestmark = pytest.mark.engine

PYTHON = "python:3.13-slim"
DOCKERS_CAPABILITIES = 0xA80425FB
"""The set that Docker gives by default. It has none to mount, to load modules, or to change networks and the clock."""
STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status"


def check_status(text: str) -> None:
    found = dict(line.split(":\t") for line in text.splitlines() if "\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) & ~DOCKERS_CAPABILITIES == 0, found
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2", "a filter of system calls"


def test_every_kind_of_container_has_few_capabilities_and_gains_none(ran: JobRunner) -> None:
    job = ran(
        shell(STATUS),
        plugin(container(entrypoint=("sh", "-c", STATUS))),
        shell(f"{STATUS} >detached", detach=True),
        shell("while [ ! -s detached ] || [ ! -s served ]; do sleep 0.1; done", "cat detached >&2", "cat served"),
        services=[service("db", f"{STATUS} >/headway/src/served; sleep 1000")],
    )
    assert job.outcome.state is State.PASSED
    for text in (job.said(1), job.said(2), job.said(4)):
        check_status("\n".join(text))
    check_status(job.log(4, Stream.STDERR).decode())


ATTEMPTS = {
    "mount": "mount -t tmpfs none /mnt",
    "mount proc": "mount -t proc none /mnt",
    "write to sysfs": "mount -o remount,rw /sys",
    "mount cgroups": "mount -t cgroup -o memory none /mnt",
    "make a cgroup": "cd /sys/fs/cgroup; test -e cgroup.controllers || cd memory; mkdir mine",
    "read a disk": "mknod /disk b 8 0 && head -c 1 /disk",
    "read memory": "mknod /memory c 1 1 && head -c 1 /memory",
    "kernel log": "dmesg",
    "kernel log as a device": "mknod /kmsg c 1 11 && timeout 1 head -c 1 /kmsg",
    "kernel memory": "test -n \"$(head -c 1 /proc/kcore | tr -d '\\0')\"",
    "keys of the kernel": 'test -n "$(cat /proc/keys)"',
    "system request": "echo h >/proc/sysrq-trigger",
    "core pattern": "cat /proc/sys/kernel/core_pattern >/tmp/c && cat /tmp/c >/proc/sys/kernel/core_pattern",
    "program for modules": "cat /proc/sys/kernel/modprobe >/tmp/m && cat /tmp/m >/proc/sys/kernel/modprobe",
    "user namespace": "unshare -r true",
    "mount namespace": "unshare -m true",
    "host name": "hostname other",
    "address": "ip address add 10.255.255.1/24 dev eth0",
    "route": "ip route add 10.255.0.0/16 via 127.0.0.1",
    "engine": "test -e /var/run/docker.sock || test -e /run/containerd/containerd.sock",
    "processes of others": "test $(ls -d /proc/[0-9]* | wc -l) -gt 9",
}


def test_what_would_lead_out_of_the_container_is_refused(ran: JobRunner) -> None:
    steps = [f"({text}) >/dev/null 2>&1 && echo 'possible: {name}' || true" for name, text in ATTEMPTS.items()]
    job = ran(shell(*steps, "echo done"))
    assert job.said() == ["done"], job.everything()


CALLS = {
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "keyctl": 250, "init_module": 175,
    "kexec_load": 246, "open_by_handle_at": 304, "setns": 308, "pivot_root": 155, "swapon": 167, "iopl": 172,
    "acct": 163, "quotactl": 179, "settimeofday": 164, "umount2": 166, "fsopen": 430, "move_mount": 429,
}  # fmt: skip
CALL = (
    "import ctypes, errno, json, sys\n"
    "c = ctypes.CDLL(None, use_errno=True)\n"
    "def call(number):\n"
    "    ctypes.set_errno(0)\n"
    "    c.syscall(number, -1, 0, 0, 0, 0, 0)\n"
    "    return ctypes.get_errno()\n"
    "print([name for name, n in json.loads(sys.argv[1]).items() if call(n) not in (errno.EPERM, errno.ENOSYS)])"
)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are the numbers of x86_64")
def test_system_calls_of_administrators_are_refused(ran: JobRunner) -> None:
    files = {"call.py": CALL, "calls": json.dumps(CALLS)}
    job = ran(shell('python3 call.py "$(cat calls)"', box=container(PYTHON)), files=files)
    assert job.said() == ["[]"]


def test_a_program_with_the_set_user_id_bit_gives_no_rights(ran: JobRunner) -> None:
    who, home = "import os; print(os.geteuid())", "python3 -c 'import sys; print(sys.base_prefix)'"
    job = ran(
        shell("cp $(readlink -f $(command -v python3)) as-root", "chmod 4755 as-root", box=container(PYTHON)),
        shell(f"PYTHONHOME=$({home}) ./as-root -c '{who}'", box=container(PYTHON, user="1000")),
    )
    assert job.said(2) == ["1000"], job.everything()


def test_no_device_of_the_host_is_there(ran: JobRunner) -> None:
    job = ran(shell("find /dev -type b -o -type c | sort"))
    plain = {f"/dev/{name}" for name in ("full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero")}
    assert set(job.said()) <= plain


def test_instructions_of_a_build_are_as_confined(ran: JobRunner) -> None:
    attempts = "; ".join(
        f"({ATTEMPTS[name]}) >/dev/null 2>&1 && echo 'possible: {name}'"
        for name in ("mount", "write to sysfs", "read a disk", "kernel log", "core pattern", "system request", "engine")
    )
    job = ran(
        build(dockerfile_inline=f"FROM busybox\nARG A\nRUN ({attempts}; true) >/said\n", no_cache=True),
        shell("cat /said", "echo done", box=container(1)),
        files={"x": ""},
    )
    assert job.said(2) == ["done"]


def test_a_frozen_or_greedy_step_is_held_by_its_limits_and_its_time(ran: JobRunner) -> None:
    """All processes stopped, the shell with them: nothing answers TERM, and the time ends it all the same."""
    job = ran(
        shell("sleep 1000 & kill -STOP -1; kill -STOP 1; kill -STOP $$", timeout_s=2), options=Options(grace_s=0.3)
    )
    assert job.step().state is State.FAILED
    assert job.step().message.startswith("timed out after 2 s")
