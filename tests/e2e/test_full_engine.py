"""Jobs on an engine without a free address for a network. They are here because no other test may run meanwhile."""

import threading
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.docker.containers.specs import job_labels
from runner.errors import StepError
from runner.events import Event, JobNote
from runner.execution.job.options import Options
from tests.e2e.full import filled
from tests.e2e.stack import Repository, Stack, until
from tests.support.engine import JobRunner
from tests.support.plans import shell

pytestmark = pytest.mark.exclusive


@pytest.mark.engine
def test_a_job_waits_until_addresses_are_free(ran: JobRunner, engine: Engine) -> None:
    with filled(engine) as full:

        def listen(event: Event) -> None:
            if isinstance(event, JobNote) and "Waiting up to 60 s for other jobs" in event.text:
                threading.Thread(target=full.free).start()

        job = ran(shell("echo ran"), on_event=listen)
    assert job.said() == ["ran"]
    assert "no address left for the job's network" in job.notes


@pytest.mark.engine
def test_a_job_without_an_address_is_broken_and_says_what_to_do(ran: JobRunner, engine: Engine) -> None:
    def gone(_: Path) -> None:
        raise StepError(Reason.CLONE_FAILED, "nothing can be laid out")

    patient = Options(address_wait_s=600)
    with filled(engine):
        job = ran(shell("echo never"), options=Options(address_wait_s=0.5))
        late = ran(shell("echo never"), options=patient, timeout_s=1)
        early = ran(shell("echo never"), options=patient, files=gone)
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.INTERNAL)
    for words in ("no address left", "docker network prune", "default-address-pools", "daemon.json"):
        assert words in job.outcome.message
    assert late.outcome.reason is Reason.TIMEOUT, "a job's own time ends the wait"
    assert early.outcome.reason is Reason.CLONE_FAILED, "a job that has ended waits for nothing"


def test_networks_of_dead_jobs_are_removed_to_free_addresses(stack: Stack, engine: Engine) -> None:
    repo = Repository(stack, "full/dead")
    with filled(engine, job_labels(f"{stack.installation}-999999", attempt=1)) as full:
        pipeline = "steps: [{name: a, image: busybox, commands: [echo ran]}]"
        run = repo.ended(repo.push({".headway.yml": pipeline}))
        assert run["state"] == "passed", run["sentence"]
        until("their networks are gone", lambda: not full.networks)
