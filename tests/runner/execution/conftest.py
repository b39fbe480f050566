"""Fixtures of a job whose engine is a far end of our own: what it decides alone is looked at."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.plan import JobPlan, Step
from runner.cancellation import Cancel
from runner.docker.client import Engine
from runner.events import Event
from runner.execution.job.job import Assignment, Job
from tests.support.fake_engine import DOCKER, fake_engine
from tests.support.job_result import MakeJob
from tests.support.plans import numbered


@pytest.fixture
def said() -> list[Event]:
    return []


@pytest.fixture
def make_job(tmp_path: Path, said: list[Event]) -> Iterator[MakeJob]:
    with ExitStack() as on_exit:
        fake = on_exit.enter_context(fake_engine(tmp_path, DOCKER))
        engine = Engine(fake.host)
        on_exit.callback(engine.close)

        def make(step: Step, **keys: object) -> Job:
            plan = JobPlan(name="test", file=".headway.yml", number=1, steps=numbered([step]))
            assignment = Assignment(
                plan, "k", 1, tmp_path, Path.mkdir, secrets={"token": "s3cr3t-value"}, journaled=True
            )
            cancel = Cancel()
            on_exit.callback(cancel.close)
            job = Job(replace(assignment, **keys), engine, None, said.append, cancel)  # type: ignore[arg-type]
            job.journal.began(1, job.deadline)
            job.journal.prepared((None, False))
            return job

        yield make
