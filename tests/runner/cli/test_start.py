"""What the ``headway`` command loads: a verb that needs no server starts without what the server is made of."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OF_THE_SERVER = {
    "sqlalchemy", "alembic", "celery", "kombu", "redis", "fastapi", "starlette", "uvicorn", "workers.settings",
}  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["--help"], ["schema"], ["init"], ["lint"], ["plan"], ["run", "--help"], ["run", "no-such-folder"]],
    ids=" ".join,
)
def test_a_verb_without_a_server_loads_nothing_of_the_server(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    program = "from runner.cli.start import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", program, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "runner.cli.start" in loaded
    assert not loaded & OF_THE_SERVER
    assert "watchfiles" not in loaded  # only --watch needs it
