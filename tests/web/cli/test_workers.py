"""``headway worker drain`` and ``undrain``, and the option ``--exit-when-idle``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.web.cli.command import Headway
from workers import store
from workers.db.session import make_engine, reading, transaction, upgrade
from workers.settings import Settings


@pytest.fixture
def headway(tmp_path: Path) -> Headway:
    return Headway(tmp_path / "command")


@pytest.fixture
def database(headway: Headway) -> Iterator[Engine]:
    headway.folder.mkdir(mode=0o700)
    engine = make_engine(Settings(data_dir=headway.folder).database)
    upgrade(engine)
    with transaction(engine) as session:
        store.record_heartbeat(session, "host-1", {}, 2, 60)
    yield engine
    engine.dispose()


@pytest.mark.slow
def test_a_worker_is_drained_and_taken_back(headway: Headway, database: Engine) -> None:
    said = headway.ok("worker", "drain", "host-1")
    assert said == "host-1 takes no new job, and ends when its jobs have ended.\n"
    with reading(database) as session:
        assert store.is_drained(session, "host-1")
    assert headway.ok("worker", "undrain", "host-1") == "host-1 takes jobs.\n"
    with reading(database) as session:
        assert not store.is_drained(session, "host-1")
    assert headway.refused("worker", "drain", "host-2").startswith("headway: No worker named host-2 is running.")


def test_a_wrong_duration_is_a_sentence_before_anything_starts(headway: Headway) -> None:
    result = headway("worker", "--exit-when-idle", "soon")
    assert result.exit_code == 2
    assert "as in 30s, 10m or 2h" in " ".join(result.stderr.replace("\u2502", " ").split())
