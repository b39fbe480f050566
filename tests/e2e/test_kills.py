"""Kills (-9) a worker process at each stage of a job: it goes on or starts over, ends once, leaves nothing behind."""

import json
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.docker.containers.specs import STEP_LABEL
from tests.e2e.stack import Repository, Stack, children, command_line, until
from workers.db.models import Job
from workers.db.session import make_engine, reading
from workers.store.processes.workers import OWNER_MARK

# A random duration, so that no build finds it in the cache.
NAP = f"sleep 2.{secrets.randbelow(10**9)}"
ABSENT = {STEP_LABEL: ""}
SHELL = "{image: busybox, commands: [sleep 1, echo done]}"
ONE = f"steps: {{only: {SHELL}}}"
TWO = f"steps: {{first: {SHELL}, second: {{image: busybox, commands: [echo done]}}}}"
TOGETHER = f"steps: {{first: {SHELL}, second: {{image: busybox, commands: [echo done], depends_on: []}}}}"
WITH_SERVICE = f"services: {{db: {{image: busybox, commands: [nc -l -p 5432]}}}}\n{ONE}"
BUILD = "steps: [{name: image, build: .}, {name: only, image: busybox, commands: [echo done]}]"
PUSH = "steps: [{name: image, build: .}, {name: push, push: {repo: REGISTRY/killed, tags: [a]}}]"


class EngineEvents:
    """The events of the engine, from the start of the test on."""

    def __init__(self) -> None:
        command = ["docker", "events", "--format", "{{json .}}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._seen: list[Any] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self._seen.append(json.loads(line))
                self._news.notify_all()

    def wait(self, what: str, **attributes: str) -> None:
        """Waits for such an event; one before counts too. An empty value means that the attribute is missing."""

        def happened(event: Any) -> bool:
            found = event["Actor"]["Attributes"]
            wanted = {name.replace("_", "."): value for name, value in attributes.items()}
            return f"{event['Type']} {event['Action']}" == what and wanted.items() <= {**ABSENT, **found}.items()

        with self._news:
            assert self._news.wait_for(lambda: any(map(happened, self._seen)), 60), (what, attributes)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()


@dataclass
class Victim:
    """A job, and the worker process that runs it."""

    stack: Stack
    repo: Repository
    number: int
    engine: EngineEvents
    key: str = ""
    pid: int = 0

    def find(self) -> None:
        database = make_engine(f"sqlite:///{self.stack.data}/headway.db")
        job_id = self.repo.run(self.number)["jobs"][0]["id"]

        def claimed() -> tuple[str, str] | None:
            with reading(database) as session:
                job = session.get_one(Job, job_id)
                return (job.lease_owner, job.key) if job.lease_owner else None

        owner, key = until("a worker has the job", claimed)
        database.dispose()
        self.pid = int(owner.rpartition(OWNER_MARK)[2].partition("-")[0])
        self.key = f"{self.stack.installation}-{key}"

    def runs(self, *words: str) -> bool:
        """True while a child process of the worker has all these words in its command line."""
        return any(all(word in command_line(child) for word in words) for child in children(self.pid))


def at_container(action: str, step: str) -> Callable[[Victim], None]:
    return lambda job: job.engine.wait(f"container {action}", headway_job=job.key, headway_step=step)


def soon(what: str, check: Callable[[Victim], object]) -> Callable[[Victim], None]:
    return lambda job: until(what, lambda: check(job), every_s=0.002)


def processes(words: str) -> list[str]:
    """The command lines on this machine that equal ``words``, also in containers."""
    lines = (command_line(int(folder.name)).strip() for folder in Path("/proc").glob("[0-9]*"))
    return [line for line in lines if line == words]


def is_laid_out(job: Victim) -> bool:
    return (job.stack.data / "workspaces" / f"{job.key}-1" / "workspace" / "src" / ".git").exists()


STAGES: dict[str, tuple[str, Callable[[Victim], None]]] = {
    "fetching": (ONE, soon("git fetches", lambda job: job.runs("git", "fetch"))),
    "checking out": (ONE, soon("the checkout is begun", is_laid_out)),
    "network made": (ONE, lambda job: job.engine.wait("network create", name=f"headway-{job.key}-1")),
    "steps together": (TOGETHER, at_container("start", "2")),
    "container created": (ONE, at_container("create", "1")),
    "next container waiting": (TWO, at_container("start", "2")),
    "service starting": (WITH_SERVICE, at_container("start", "")),
    "building": (BUILD, lambda _: until("the build is at work", lambda: processes(NAP))),
    "pushing": (PUSH, lambda job: job.engine.wait("image tag", name=f"{job.stack.registry.host}/killed:a")),
    "cleaning up": (WITH_SERVICE, at_container("die", "")),
}
BIG = {"fetching", "checking out"}
# Before the checkout is complete a job starts over; then it goes on. Containers are started at any time of the two.
ATTEMPTS = {"fetching": {2}, "checking out": {2}, "building": {1}, "pushing": {1}, "cleaning up": {1}}


@pytest.fixture(scope="module")
def killed(stack: Stack) -> dict[str, Future[Any]]:
    """Kills the worker at all stages at the same time, each on a branch of its own; the ended runs."""
    repo = Repository(stack, "faults/stages")
    engine = EngineEvents()

    def kill(number: int, moment: Callable[[Victim], None]) -> Any:
        victim = Victim(stack, repo, number, engine)
        victim.find()
        moment(victim)
        os.kill(victim.pid, signal.SIGKILL)
        return repo.ended(number)

    with ThreadPoolExecutor(len(STAGES)) as pool:
        runs = {}
        for stage, (pipeline, moment) in STAGES.items():
            files = {
                ".headway.yml": pipeline.replace("REGISTRY", stack.registry.host),
                "Dockerfile": f"FROM busybox\nRUN {NAP if stage == 'building' else 'true'}\n",
            }
            if stage in BIG:
                files["big"] = secrets.token_hex(8_000_000)
            runs[stage] = pool.submit(kill, repo.push(files, stage, branch=stage.replace(" ", "-")), moment)
    engine.close()
    return runs


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_whose_worker_is_killed_goes_on_or_starts_over_and_passes(
    stack: Stack, killed: dict[str, Future[Any]], stage: str
) -> None:
    run = killed[stage].result()
    (job,) = run["jobs"]
    assert run["state"] == "passed", run["sentence"]
    assert {step["state"] for step in job["steps"]} == {"passed"}
    assert job["attempt"] in ATTEMPTS.get(stage, {1, 2}), job["message"]
    logs = [stack.api(f"/steps/{step['id']}/log").body for step in job["steps"]]
    assert all(log.count(b"\ndone\n") == (b"echo done" in log) for log in logs)


def test_the_killed_jobs_leave_nothing_behind(stack: Stack, killed: dict[str, Future[Any]]) -> None:
    assert len(killed) == len(STAGES)
    until("nothing is left in the engine and on the disk", lambda: not stack.left_behind())


def test_a_job_canceled_after_its_worker_was_killed_leaves_nothing_behind(stack: Stack) -> None:
    """Also of a build whose client process has lost its worker and would otherwise go on."""
    repo = Repository(stack, "faults/nobody")
    nap = f"sleep 1000.{secrets.randbelow(10**9)}"
    pipeline = f"steps: [{{name: image, build: .}}, {{name: a, image: busybox, commands: ['{nap}'], depends_on: []}}]"
    number = repo.push({".headway.yml": pipeline, "Dockerfile": f"FROM busybox\nRUN {nap}\n"})
    until("step and build are at work", lambda: len(processes(nap)) >= len(("step", "build")))
    for pid in stack.family("worker"):
        os.kill(pid, signal.SIGKILL)
    stack.api(f"/repos/{repo.name}/runs/{number}/cancel", method="POST")
    assert repo.ended(number)["state"] == "canceled"
    until("nothing is left in the engine and on the disk", lambda: not stack.left_behind())
    until("nothing of it runs any more", lambda: not processes(nap))
