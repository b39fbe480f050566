"""From a webhook to the end of its run without the scheduler, and with one message for each job."""

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from redis import Redis

from tests.e2e.stack import Repository, Stack, until

ONE = {".headway.yml": 'steps:\n  - {name: one, image: busybox, commands: ["echo one"]}\n'}
_JOB = '{steps: [{name: only, image: busybox, commands: ["echo job"]}]'
THREE = {
    ".headway/first.yml": f"{_JOB}}}\n",
    ".headway/beside.yml": f"{_JOB}}}\n",
    ".headway/last.yml": f"{_JOB}, depends_on: [first, beside]}}\n",
}


@pytest.fixture
def alone(stack: Stack) -> Iterator[Stack]:
    """The server while its scheduler is stopped (SIGSTOP): no process looks for queued jobs."""
    schedulers = stack.family("scheduler")
    assert schedulers
    try:
        until("the scheduler is stopped and does not lock the database", lambda: stopped(stack, schedulers))
        yield stack
    finally:
        for pid in schedulers:
            os.kill(pid, signal.SIGCONT)


def stopped(stack: Stack, pids: list[int]) -> bool:
    """Stops processes; continues them if one of them holds the write lock of the database."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    with closing(sqlite3.connect(stack.data / "headway.db", timeout=0.5, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            return False
        database.execute("ROLLBACK")
        return True


@contextmanager
def watched(stack: Stack) -> Iterator[list[str]]:
    """The wake-ups pushed to queues, from Redis MONITOR; complete when the block has ended."""
    redis_conf = (stack.data / "redis" / "redis.conf").read_text()
    config = dict(re.findall(r"^(port|requirepass) (\S+)$", redis_conf, re.MULTILINE))
    pushes: list[str] = []
    with Redis(port=int(config["port"]), password=config["requirepass"]) as redis, redis.monitor() as monitor:
        yield pushes
        redis.echo("the end")
        for command in monitor.listen():
            words = str(command["command"]).split(maxsplit=2)
            if words[0].upper() in {"LPUSH", "RPUSH"}:
                pushes.append(words[1])
            if words[0].upper() == "ECHO":
                return


def settled(stack: Stack, repo: Repository, number: int) -> Any:
    """The run when it has ended and its worker has cleaned up: after that it sends no more wake-ups."""
    run = repo.ended(number)
    until("the worker has cleaned up", lambda: not stack.left_behind())
    return run


def test_a_run_of_one_job_takes_one_message_and_no_scheduler(alone: Stack) -> None:
    repo = Repository(alone, "dispatch/one")
    with watched(alone) as pushes:
        run = settled(alone, repo, repo.push(ONE))
    assert run["state"] == "passed"
    assert len(pushes) == 1


def test_jobs_that_wait_for_others_start_without_the_scheduler(alone: Stack) -> None:
    repo = Repository(alone, "dispatch/three")
    with watched(alone) as pushes:
        run = settled(alone, repo, repo.push(THREE))
    assert (run["state"], len(run["jobs"])) == ("passed", 3)
    # The worker that plans runs the first job in the same claim; a worker with a free slot may get one more message.
    assert len(pushes) >= len(run["jobs"])
