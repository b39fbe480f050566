"""Fragments and files of secrets on a server: from the commit through the plan in the database to the container."""

from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.working import PushWorker
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = "steps:\n  - include: ci/read.yml\n    with: {WORDS: 'of the file', KEY: deploy_key}\n"
FRAGMENT = """\
inputs: {WORDS: null, KEY: null}
services:
  - {name: db, image: busybox, commands: sleep 1000}
steps:
  - name: read
    image: busybox
    secrets: [{source: "${KEY}", file: /run/secrets/key, mode: 0440}]
    commands:
      - echo "${WORDS}"
      - stat -c %a /run/secrets/key
      - wc -l < /run/secrets/key
      - cat /run/secrets/key
"""
KEY = "-----BEGIN-----\nin the middle\n-----END-----\n"


def test_the_steps_of_a_fragment_run_with_their_inputs_and_secrets(
    settings: Settings, engine: Engine, tmp_path: Path
) -> None:  # fmt: skip
    worker = PushWorker(settings, tmp_path)
    try:
        worker.secret("deploy_key", KEY)
        ran = worker.runs(PIPELINE, {"ci/read.yml": FRAGMENT})
        assert ran.run.state is State.PASSED
        assert [step.name for step in ran.steps] == ["read"]
        with ran.log() as log:
            said = [line for line in log.read(0, 10_000).decode().splitlines() if not line.startswith("+")]
        assert said[:3] == ["of the file", "440", "3"]
        assert "in the middle" not in said
    finally:
        worker.close()


def test_a_mistake_in_a_fragment_ends_the_run_with_its_place(
    settings: Settings, engine: Engine, tmp_path: Path
) -> None:  # fmt: skip
    worker = PushWorker(settings, tmp_path)
    try:
        ran = worker.runs(PIPELINE, {"ci/read.yml": FRAGMENT.replace("secrets:", "secret:")})
        assert ran.run.state is State.FAILED
        (problem,) = ran.run.problems
        assert (problem["file"], problem["line"]) == ("ci/read.yml", 7)
        assert problem["message"].startswith("unknown key 'secret' in step 'read'")
    finally:
        worker.close()
