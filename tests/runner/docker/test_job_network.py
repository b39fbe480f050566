"""The network of a job, which two processes of the same attempt may ask for: one dies, another goes on."""

import secrets
from pathlib import Path

import pytest

from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL
from runner.docker.job_network import JobNetwork
from runner.errors import StepError
from tests.support.fake_engine import DOCKER, fake_engine


@pytest.mark.engine
def test_two_processes_of_an_attempt_have_one_network(engine: Engine) -> None:
    key = secrets.token_hex(8)
    died, goes_on = JobNetwork(engine, key, 1), JobNetwork(engine, key, 1)
    goes_on.resume()
    try:
        assert died.ensure() == goes_on.ensure()
        assert len(engine.networks_labelled(f"{JOB_LABEL}={key}")) == 1
    finally:
        goes_on.close()
    assert engine.networks_labelled(f"{JOB_LABEL}={key}") == []


def test_another_error_of_the_engine_is_raised(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [(500, '{"message": "plugin not found"}'), (200, "[]")]
        with pytest.raises(StepError, match="plugin not found"):
            JobNetwork(engine, "key", 1).ensure()
        engine.close()
