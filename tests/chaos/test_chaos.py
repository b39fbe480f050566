"""A short round of `make chaos`; and a worker without a fence, which the judge must notice."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import unfenced_worker
from tests.chaos.judge import wrong_runs
from tests.chaos.rounds import play_round
from tests.chaos.stack import Stack, running_stack
from tests.chaos.workload import REPO, Sent, Workload
from tests.e2e.stack import FINAL, until
from tests.support.other_machine import need_other_machines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
FAULTS_S = 15.0
SEED = "short"
"""Always the same faults: `make chaos` tries new ones."""


def run_of(stack: Stack, sent: Sent) -> dict[str, object]:
    answer: dict[str, object] = stack.site.api(f"/repos/{REPO}/runs/{next(iter(sent.runs))}").json
    return answer


def test_whatever_fails_each_delivery_has_one_run_with_its_verdict_and_its_log(tmp_path: Path) -> None:
    need_other_machines()
    seed = os.environ.get("CHAOS_SEED") or SEED
    said: list[str] = [f"CHAOS_SEED={seed}"]
    problems = play_round(tmp_path / "round", seed, FAULTS_S, postgres=True, say=said.append)
    assert not problems, "\n".join([*said, *problems])


def replaced(stack: Stack, name: str, program: str) -> None:
    """Another program is this worker from now on."""
    part = stack.site.parts[name]
    part.kill()
    part.command = [part.command[0], program]
    part.start()


def running(stack: Stack, sent: Sent, step: str) -> Callable[[], bool]:
    def look() -> bool:
        jobs = stack.site.api(f"/repos/{REPO}/runs/{next(iter(sent.runs))}").json["jobs"]
        return any((each["name"], each["state"]) == (step, "running") for job in jobs for each in job["steps"])

    return look


def lose_in_mid_step(stack: Stack, workload: Workload) -> Sent:
    """The first machine's only worker is frozen in mid-step until the other machine has done its job."""
    lost, other = stack.site.parts["worker-1"], stack.site.parts["worker-3"]
    sent = workload.deliver("push")
    until("it is accepted", lambda: sent.runs)
    until("the image is tested", running(stack, sent, "check"))
    lost.signal(signal.SIGSTOP)
    other.start()
    until("another machine has pushed it", lambda: run_of(stack, sent)["state"] in FINAL)
    assert run_of(stack, sent)["state"] == "passed"
    other.kill()
    lost.signal(signal.SIGCONT)
    until("the first one has ended too", lambda: not list((stack.machines[0].data / "running").iterdir()))
    return sent


def test_a_worker_that_goes_on_with_a_job_that_it_has_lost_is_noticed(tmp_path: Path) -> None:
    need_other_machines()
    with running_stack(tmp_path / "stack", postgres=False) as stack:
        for name in ("worker-2", "worker-3"):
            stack.site.parts[name].kill()
        workload = Workload(stack, "fence")
        fenced = lose_in_mid_step(stack, workload)
        replaced(stack, "worker-1", str(Path(unfenced_worker.__file__)))
        unfenced = lose_in_mid_step(stack, workload)
        problems = wrong_runs(stack, workload.sent)
    assert not any(f"({fenced.nonce})" in problem for problem in problems), problems
    assert any(f"({unfenced.nonce})" in problem for problem in problems), problems
