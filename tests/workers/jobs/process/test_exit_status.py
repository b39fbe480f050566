"""A process that breaks says so with its exit status, so that what supervises it starts it again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from runner.docker.client import Engine as Docker
from workers.settings import Settings

HEADWAY = str(Path(sys.executable).with_name("headway"))


# Past the check of the settings: a broker that breaks Celery itself.
BROKEN_WORKER = """
from workers.jobs.process.process import run_worker
from workers.log_lines import configure_log
from workers.settings import load_settings
configure_log()
run_worker(load_settings().model_copy(update={"redis_url": "redis://127.0.0.1:1/none"}))
"""


def ended(command: str, settings: Settings, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"HEADWAY_DATA_DIR": str(settings.data_dir), "HEADWAY_DATABASE_URL": settings.database}
    own |= {"HEADWAY_SECRET_KEYS": settings.secret_keys.get_secret_value(), **environment}
    own["HEADWAY_STEPS_REACH_HOST"] = "true"  # other tests change the host's rules
    words = [sys.executable, "-c", command] if "\n" in command else [HEADWAY, command]
    return subprocess.run(words, env={**os.environ, **own}, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.engine
def test_a_worker_that_breaks_while_it_runs_exits_with_another_status_than_0(
    settings: Settings, sqlite_database: Engine, engine: Docker
) -> None:
    """Celery logs such an error and returns as if all were well."""
    done = ended(BROKEN_WORKER, settings)
    assert done.returncode == 1
    assert "Unrecoverable error" in done.stderr


@pytest.mark.stress
@pytest.mark.parametrize(
    ("command", "setting", "value"),
    [
        ("worker", "HEADWAY_REDIS_URL", "nonsense://"),
        ("worker", "HEADWAY_DATABASE_URL", "postgresql+psycopg://127.0.0.1:1/x"),
        ("scheduler", "HEADWAY_REDIS_URL", "nonsense://"),
    ],
)
def test_a_process_that_cannot_start_exits_with_another_status_than_0(
    command: str, setting: str, value: str, settings: Settings
) -> None:
    assert ended(command, settings, **{setting: value}).returncode not in {0, None}
