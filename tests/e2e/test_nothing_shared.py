"""Two workers and a web server that share the database, Redis and a bucket, and no folder."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from pipelines.state import State
from tests.support.services import eventually
from tests.support.working import FinishedRun, PushWorker
from tests.web.conftest import Site
from web.security.login_limiter import LoginLimiter
from web.server.app import create_app
from web.services import Services
from workers.db.models import Step
from workers.db.session import make_engine, reading
from workers.logs import open_logs
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.streaming.redis_stream import connect

STEP = """steps:
  - name: show
    image: busybox
    commands:
      - |-
        {command}
"""
SLOW = "echo early; sleep 8; echo late"


@pytest.fixture
def far_settings(settings: Settings, bucket_url: str) -> Settings:
    """Settings without a data directory that anything else knows."""
    return settings.model_copy(update={"blob_url": bucket_url})


def on(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"data_dir": folder})


@pytest.fixture
def site(far_settings: Settings, tmp_path: Path) -> Iterator[Site]:
    """The web server of a machine without a worker. Its Redis has nothing, so that no live tail can help."""
    settings = on(far_settings, tmp_path / "web")
    engine, redis = make_engine(settings.database), connect("redis://127.0.0.1:1/0")
    logs, vault = open_logs(settings, engine), open_vault(settings)
    yield Site(Services(settings, engine, lambda *_: None, logs, vault, redis, LoginLimiter()))
    redis.close()
    engine.dispose()


@pytest.fixture
def program(site: Site) -> Iterator[TestClient]:
    """A program with an administrator's token."""
    with TestClient(create_app(site.services), base_url="http://localhost") as client:
        client.headers["authorization"] = f"Bearer {site.token(site.add_user())}"
        yield client


def running_step(site: Site) -> int:
    """The step that runs now, or 0."""
    with reading(site.engine) as session:
        return session.scalar(select(Step.id).where(Step.state == State.RUNNING)) or 0


@pytest.mark.usefixtures("engine")
def test_the_web_reads_in_mid_step_what_another_machine_writes(
    far_settings: Settings, site: Site, program: TestClient, tmp_path: Path
) -> None:
    done: list[FinishedRun] = []
    first = PushWorker(on(far_settings, tmp_path / "first"), tmp_path / "origin of the first")
    pusher = threading.Thread(target=lambda: done.append(first.runs(STEP.format(command=SLOW))))
    pusher.start()
    step = eventually(lambda: running_step(site), within_s=60)
    path, page = f"/api/steps/{step}/log", f"/repos/acme/roof/runs/1?step={step}"
    eventually(lambda: program.get(path, params={"last": 9}).content, within_s=7)
    early = program.get(path, params={"last": 9})
    assert early.content == b"+ echo early; sleep 8; echo late\nearly\n"
    assert (early.headers["x-log-complete"], early.headers["x-log-cut-off"]) == ("false", "false")
    assert running_step(site) == step
    assert "<span>early</span>" in program.get(page).text
    pusher.join()
    assert [each.run.state for each in done] == [State.PASSED]
    late = program.get(path, params={"offset": 0})
    assert late.content == b"+ echo early; sleep 8; echo late\nearly\nlate\n"
    assert late.headers["x-log-complete"] == "true"
    assert program.get(f"{path}/search", params={"text": "LATE"}).json()["lines"] == [1, 3]
    first.close()
    folders = [tmp_path / machine / kept for machine in ("first", "web") for kept in ("blobs", "logs")]
    assert [folder for folder in folders if folder.exists()] == []
