"""Steps on a worker are fresh as well: its path to a step is its own up to the job runner."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.pollution import IMAGE, SCRIPT, WAYS, clean, script
from tests.support.working import PushWorker
from workers.settings import Settings

pytestmark = pytest.mark.engine

STEPS = 4


@pytest.fixture
def worker(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path)
    yield worker
    worker.close()


def test_nothing_that_a_step_leaves_shows_in_another_on_a_server(worker: PushWorker) -> None:
    steps = [f"  - {{name: s{number}, image: {IMAGE}, commands: ['. ./{SCRIPT}']}}\n" for number in range(STEPS)]
    done = worker.runs(f"steps:\n{''.join(steps)}", {SCRIPT: script(WAYS)})
    assert done.run.state is State.PASSED
    for number in range(1, STEPS + 1):
        with done.log(number) as log:
            lines = log.read(0, log.size_bytes).decode().splitlines()
        assert [line for line in lines if not line.startswith("+ ")] == clean(WAYS)
