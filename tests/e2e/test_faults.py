"""Faults while a job runs: cancellation, killed processes, restarts, and each way to fail."""

import os
import signal
from typing import Any

import pytest

from tests.e2e.stack import Repository, Stack, until

SLOW = """\
steps:
  - name: slow
    image: busybox
    commands:
      - echo "begun $(date +%s%N)"
      - {wait}
      - echo done
"""


def slow(wait: str) -> dict[str, str]:
    return {".headway.yml": SLOW.format(wait=wait)}


def states(run: Any) -> list[str]:
    return [step["state"] for job in run["jobs"] for step in job["steps"]]


def test_a_cancellation_stops_the_running_container_and_keeps_its_last_output(stack: Stack) -> None:
    repo = Repository(stack, "faults/cancel")
    pipeline = SLOW.format(wait="trap 'echo cleaning up; exit 1' TERM; sleep 100 & wait")
    number = repo.push({".headway.yml": pipeline})
    repo.running(number, "slow", "begun")
    assert stack.api(f"/repos/faults/cancel/runs/{number}/cancel", method="POST").status in {200, 202}
    run = repo.ended(number)
    assert (run["state"], states(run)) == ("canceled", ["canceled"])
    assert "canceled by admin" in run["sentence"]
    assert b"cleaning up\n" in repo.log(repo.step(number, "slow"))
    until("nothing is left in the engine", lambda: not stack.left_behind())


def test_a_job_whose_workers_are_all_killed_goes_on_and_passes(stack: Stack) -> None:
    repo = Repository(stack, "faults/kill")
    number = repo.push(slow("sleep 3"))
    repo.running(number, "slow", "begun")
    victims = stack.family("worker")
    assert len(victims) > 1
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    run = repo.ended(number)
    assert (run["state"], states(run)) == ("passed", ["passed"])
    (job,) = run["jobs"]
    # The lease of these tests is 3 s: on a busy machine a new worker may start later, and the job starts over.
    assert job["attempt"] in {1, 2}
    log = repo.log(repo.step(number, "slow")).decode()
    assert log.count("begun") == 1 + log.count('echo "begun')
    assert log.endswith("done\n")
    until("nothing is left in the engine", lambda: not stack.left_behind())


def test_redis_killed_and_restarted_loses_no_run(stack: Stack) -> None:
    repo = Repository(stack, "faults/redis")
    number = repo.push(slow("sleep 2"))
    repo.running(number, "slow", "begun")
    (redis,) = stack.family("redis-server")
    os.kill(redis, signal.SIGKILL)
    second = repo.push(slow("true"))
    runs = [repo.ended(number), repo.ended(second)]
    assert [run["state"] for run in runs] == ["passed", "passed"]
    assert [run["jobs"][0]["attempt"] for run in runs] == [1, 1]
    assert repo.log(repo.step(number, "slow")).endswith(b"done\n")


def test_a_restart_of_the_server_keeps_runs_and_logs(stack: Stack) -> None:
    repo = Repository(stack, "faults/restart")
    done = repo.ended(repo.push(slow("true")))
    log = repo.log(repo.step(done["number"], "slow"))
    number = repo.push(slow("sleep 1"))
    assert stack.stop() == 0
    stack.start()
    assert repo.ended(number)["state"] == "passed"
    assert repo.run(done["number"])["state"] == "passed"
    assert repo.log(repo.step(done["number"], "slow")) == log
    until("nothing is left in the engine", lambda: not stack.left_behind())


def test_the_next_worker_goes_on_with_a_job_that_outlasts_one_that_stops(stack: Stack) -> None:
    repo = Repository(stack, "faults/outlast")
    number = repo.push(slow("sleep 600"))
    repo.running(number, "slow", "begun")
    assert stack.stop() == 0
    stack.start()
    until("the next worker has it", lambda: "was restarted" in repo.run(number)["jobs"][0]["message"])
    assert repo.run(number)["jobs"][0]["attempt"] == 1
    stack.api(f"/repos/faults/outlast/runs/{number}/cancel", method="POST")
    assert repo.ended(number)["state"] == "canceled"
    until("nothing is left in the engine", lambda: not stack.left_behind())


def test_a_step_that_needs_too_much_memory_says_so(stack: Stack) -> None:
    repo = Repository(stack, "faults/memory")
    run = repo.ended(repo.push(slow("""awk 'BEGIN {s = "x"; while (1) s = s s}'""")))
    assert (run["state"], run["reason"]) == ("failed", "out_of_memory")
    assert "memory" in run["sentence"]


@pytest.mark.parametrize(
    ("pipeline", "state", "reason"),
    [
        ("steps: [{name: a, image: 127.0.0.1:1/no:1, commands: [x]}]", "broken", "registry_unreachable"),
        ("steps: [{name: a, image: REGISTRY/no:1, commands: [x]}]", "failed", "image_not_found"),
        ("steps: [{name: a, image: busybox, commands: [sleep 9], timeout: 1s}]", "failed", "timeout"),
        (
            "steps: [{name: a, image: busybox, commands: [x], environment: {A: {from_secret: no}}}]",
            "failed",
            "secret_missing",
        ),
        ("steps: [{build: .}, {push: {repo: 127.0.0.1:1/x, tags: a}}]", "broken", "registry_unreachable"),
    ],
)
def test_each_failure_has_its_own_reason_code(stack: Stack, pipeline: str, state: str, reason: str) -> None:
    repo = Repository(stack, f"faults/{reason}-{len(pipeline)}")
    pipeline = pipeline.replace("REGISTRY", stack.registry.host)
    run = repo.ended(repo.push({"Dockerfile": "FROM busybox:latest", ".headway.yml": pipeline}))
    assert (run["state"], run["reason"]) == (state, reason), run["sentence"]
    assert run["sentence"]


def test_a_rerun_needs_no_origin_when_the_mirror_has_the_commit(stack: Stack) -> None:
    repo = Repository(stack, "faults/gone")
    number = repo.push(slow("true"))
    repo.ended(number)
    repo.bare.rename(repo.bare.with_suffix(".moved"))
    stack.api(f"/repos/faults/gone/runs/{number}/rerun", method="POST")
    assert repo.ended(number + 1)["state"] == "passed", "the mirror has the commit already"
    repo.bare.with_suffix(".moved").rename(repo.bare)
