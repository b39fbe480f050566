"""A Compose step on a server: from the commit through the plan in the database to a log for each service."""

from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.working import PushWorker
from workers.settings import Settings

pytestmark = pytest.mark.engine

PIPELINE = "steps:\n  - {name: it, compose: ci/compose.yml, environment: {TOKEN: {from_secret: token}, CODE: '0'}}\n"
COMPOSE = """\
services:
  db:
    image: busybox
    environment: [TOKEN]
    command: [sh, -c, "echo $$TOKEN; echo row > /data/row; exec nc -ll -p 5432 -e cat /data/row"]
    healthcheck: {test: [CMD, grep, -q, ":1538 ", /proc/net/tcp, /proc/net/tcp6]}
    volumes: [data:/data]
  tests:
    image: busybox
    command: [sh, -c, "nc db 5432 < /dev/null; exit $CODE"]
    depends_on: {db: {condition: service_healthy}}
volumes: {data: }
"""


def test_each_service_has_a_step_with_its_log(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        worker.secret("token", "s3cr3t-value")
        ran = worker.runs(PIPELINE, {"ci/compose.yml": COMPOSE})
        assert ran.run.state is State.PASSED
        assert [(step.name, step.state) for step in ran.steps] == [("it/db", State.PASSED), ("it", State.PASSED)]
        with ran.log(1) as log:
            assert log.read(0, 10_000).decode().splitlines()[0] == "********"
        with ran.log(2) as log:
            assert log.read(0, 10_000).decode().splitlines() == ["row"]
    finally:
        worker.close()


def test_what_reaches_the_host_ends_the_run_with_its_place(settings: Settings, engine: Engine, tmp_path: Path) -> None:
    worker = PushWorker(settings, tmp_path)
    try:
        hostile = COMPOSE.replace("volumes: [data:/data]", "volumes: ['/var/run/docker.sock:/s']\n    privileged: true")
        ran = worker.runs(PIPELINE, {"ci/compose.yml": hostile})
        assert ran.run.state is State.FAILED
        found = [(problem["file"], problem["line"]) for problem in ran.run.problems]
        assert found == [("ci/compose.yml", 7), ("ci/compose.yml", 8)]
    finally:
        worker.close()
