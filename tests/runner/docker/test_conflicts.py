"""Answers of an engine while another job removes the same name or image."""

from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker.client import CONFLICT_TRIES_MAX, Engine
from runner.errors import MachineError, StepError
from tests.support.fake_engine import DOCKER, fake_engine

NAME_REMOVED = (500, '{"message": "image name already exists, but accessing it also failed: not found"}')
DONE = (201, "")


@pytest.mark.parametrize("conflicts", [1, CONFLICT_TRIES_MAX - 1])
def test_a_name_that_another_job_removes_is_given_again(tmp_path: Path, conflicts: int) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [NAME_REMOVED] * conflicts + [DONE]
        engine.tag("sha256:" + "0" * 64, "shop", "1")
        assert fake.next_answers == []
        engine.close()


def test_a_name_that_is_removed_each_time_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [NAME_REMOVED] * CONFLICT_TRIES_MAX + [DONE]
        with pytest.raises(MachineError, match="took and removed the name shop:1 20 times; re-run") as fault:
            engine.tag("sha256:" + "0" * 64, "shop", "1")
        assert fault.value.reason is Reason.INTERNAL
        assert fake.next_answers == [DONE]
        engine.close()


def test_another_error_of_tagging_is_raised_at_once(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER) as fake:
        engine = Engine(fake.host)
        fake.next_answers = [(404, '{"message": "No such image: sha256:00"}'), DONE]
        with pytest.raises(StepError, match="No such image"):
            engine.tag("sha256:00", "shop", "1")
        assert fake.next_answers == [DONE]
        engine.close()
