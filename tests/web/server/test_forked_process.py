"""Processes that are forked: their exit status, their signals, what they keep, and how they end with the parent."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.services import eventually


def script(text: str) -> subprocess.CompletedProcess[str]:
    """Runs a program: pytest's own process has threads, and must not fork."""
    head = "import os, signal, sys, time\nfrom web.server.forked_process import fork\n"
    command = [sys.executable, "-c", head + textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_exit_status_is_what_main_returns_or_raises() -> None:
    done = script("""
        def broken():
            raise ValueError("of the child")
        mains = [lambda: 0, lambda: 3, lambda: sys.exit(4), lambda: sys.exit("text"), broken]
        print([fork("t", main)().wait() for main in mains])
    """)
    assert json.loads(done.stdout) == [0, 3, 4, 1, 1]
    assert "ValueError: of the child" in done.stderr


def test_it_has_a_name_a_session_and_a_standard_input_of_its_own_and_only_the_files_that_it_needs() -> None:
    done = script("""
        held, other = os.pipe()
        def look():
            open_files = [name for name in ("held", "other") if os.path.exists(f"/proc/self/fd/{globals()[name]}")]
            print(open("/proc/self/comm").read().strip(), os.getsid(0) == os.getpid(), os.readlink("/proc/self/fd/0"))
            print(*open_files)
            return 0
        assert fork("headway-test", look, [held])().wait() == 0
    """)
    assert done.stdout.splitlines() == ["headway-test True /dev/null", "other"], done.stderr


def test_a_signal_ends_it_also_where_the_parent_handles_that_signal() -> None:
    done = script("""
        signal.signal(signal.SIGTERM, lambda *_: None)
        child = fork("t", lambda: time.sleep(60))()
        child.send_signal(signal.SIGTERM)
        print(child.wait(), child.poll())
        child.send_signal(signal.SIGTERM)
    """)
    assert done.stdout == "-15 -15\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_it_ends_with_a_parent_that_is_killed() -> None:
    done = script("""
        child = fork("t", lambda: time.sleep(60))()
        print(child.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    eventually(gone)


def test_waiting_ends_after_the_timeout() -> None:
    done = script("""
        import subprocess
        child = fork("t", lambda: time.sleep(60))()
        try:
            child.wait(0.05)
        except subprocess.TimeoutExpired:
            print("too long")
        child.send_signal(signal.SIGKILL)
        print(child.wait())
    """)
    assert done.stdout == "too long\n-9\n", done.stderr
