"""The lock of a running job ends with its process; who looks for dead ones starts each once."""

import fcntl
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from workers.jobs.running_jobs import HeldJob, RunningJobs
from workers.jobs.takeovers.takeover_watch import HAND_OVER_SIGNAL, TakeoverWatch, hand_over_jobs, hand_over_on_signal

HELD = HeldJob(7, 3, "w1@5-ab", deaths=2)


def in_a_process(running: RunningJobs, held: HeldJob = HELD, name: str = "a-7-1") -> int:
    """A process that holds the job until it is killed; its id."""
    ready, told = os.pipe()
    if not (pid := os.fork()):
        try:
            hand_over_on_signal(running)
            with running.hold(name, held):
                os.write(told, b"!")
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    return pid


def test_a_held_job_is_nobodys_to_take_and_leaves_no_file(tmp_path: Path) -> None:
    mine, others = RunningJobs(tmp_path / "running"), RunningJobs(tmp_path / "running")
    assert others.abandoned() == []
    with mine.hold("a-7-1", HELD):
        assert others.abandoned() == []
        with others.take("a-7-1") as lock:
            assert lock is None
        assert [path.name for path in (tmp_path / "running").iterdir()] == ["a-7-1"]
    assert list((tmp_path / "running").iterdir()) == []
    with others.take("a-7-1") as lock:
        assert lock is None


def test_the_job_of_a_killed_process_can_be_taken_once(tmp_path: Path) -> None:
    running = RunningJobs(tmp_path)
    pid = in_a_process(running)
    assert running.abandoned() == []
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert running.abandoned() == ["a-7-1"]
    with running.take("a-7-1") as lock:
        assert lock is not None
        assert lock.read() == HELD
        assert RunningJobs(tmp_path).abandoned() == []
        lock.write(replace(HELD, attempt=10, owner="x"))
        assert lock.read() == replace(HELD, attempt=10, owner="x")
    assert running.abandoned() == []


def test_a_look_of_another_process_does_not_keep_a_job_from_being_taken(tmp_path: Path) -> None:
    (tmp_path / "a-7-1").write_text("{}")
    with (tmp_path / "a-7-1").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.03, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with RunningJobs(tmp_path).take("a-7-1") as lock:
            assert lock is not None


def test_a_file_that_is_being_made_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / ".a-7-1-99").touch()
    assert RunningJobs(tmp_path).abandoned() == []


def test_after_an_error_another_process_can_try(tmp_path: Path) -> None:
    running = RunningJobs(tmp_path)
    pid = in_a_process(running)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(OSError, match="away"), running.take("a-7-1"):
        raise OSError("away")
    assert running.abandoned() == ["a-7-1"]


def test_a_process_that_is_told_to_hand_over_ends_at_once_and_says_so(tmp_path: Path) -> None:
    running = RunningJobs(tmp_path)
    pid = in_a_process(running)
    hand_over_jobs([pid, 2**22 + 1])
    assert running.abandoned() == ["a-7-1"]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert running.handed_over() == [replace(HELD, handed_over=True)]
    assert HAND_OVER_SIGNAL is not signal.SIGTERM


@pytest.mark.parametrize("data", ["", "{", "[]", "{}", '{"job_id": 1}', '{"job_id": 1, "more": 2}'])
def test_a_file_that_says_nothing_is_given_up(tmp_path: Path, data: str) -> None:
    (tmp_path / "a-7-1").write_text(data)
    running = RunningJobs(tmp_path)
    assert running.handed_over() == []
    with running.take("a-7-1") as lock:
        assert lock is not None
        assert lock.read() is None
    assert not (tmp_path / "a-7-1").exists()


def test_where_no_file_can_be_made_the_job_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "running").write_text("a file in the place of the folder")
    running = RunningJobs(tmp_path / "running")
    with running.hold("a-7-1", HELD):
        running.mark_handed_over()
    assert running.abandoned() == []


def test_a_dead_process_is_reported_once_and_again_after_a_pause(tmp_path: Path) -> None:
    now_s, started, held = [0.0], list[str](), list[HeldJob]()
    watch = TakeoverWatch(RunningJobs(tmp_path), started.append, held.append, lambda: now_s[0])
    watch()
    (tmp_path / "a-7-1").write_text('{"job_id": 7, "attempt": 1, "owner": "w"}')
    for now_s[0] in (0.0, 0.1, 19.9):
        watch()
    assert started == ["a-7-1"]
    now_s[0] = 20.0
    watch()
    assert started == ["a-7-1"] * 2
    assert held == [HeldJob(7, 1, "w")]
    (tmp_path / "a-7-1").unlink()
    watch()
    (tmp_path / "a-7-1").touch()
    watch()
    assert started == ["a-7-1"] * 3
