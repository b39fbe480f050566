"""The ballast: what is given up on a full disk, so that the database can be written at once."""

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.support.disks import fill
from workers.ballast import BALLAST_BYTES, Ballast
from workers.db.full_disk import means_full_disk
from workers.db.session import make_engine, persist, transaction
from workers.disk import disk_of
from workers.settings import Settings

MIB = 1024**2


def test_the_ballast_is_made_where_the_reserve_stays_free_beside_it_and_not_with_less(own_disk: Path) -> None:
    ballast, size = Ballast(own_disk), disk_of(own_disk).total_bytes // 20
    fill(own_disk, free_bytes=size + 4 * MIB)
    room = disk_of(own_disk).free_bytes - size
    assert not ballast.restore(room + 1)
    assert ballast.restore(room)
    assert (ballast.path.stat().st_size, ballast.path.stat().st_mode & 0o077) == (size, 0)
    assert not ballast.restore(room), "it is there"
    assert ballast.give_up()
    assert not ballast.give_up()
    assert [path.name for path in own_disk.iterdir()] == ["ballast-of-test"]


def test_on_a_large_disk_it_has_32_mib(tmp_path: Path) -> None:
    assert Ballast(tmp_path).restore(0)
    assert Ballast(tmp_path).path.stat().st_size == BALLAST_BYTES == 32 * MIB


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".ballast-1").touch()
    os.utime(tmp_path / ".ballast-1", (1, 1))
    (tmp_path / ".ballast-2").touch()
    Ballast(tmp_path).restore(0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ballast-2", "ballast"]


def test_it_is_beside_sqlites_file_or_else_in_the_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert Settings(data_dir=data).ballast.folder == data
    assert Settings(data_dir=data, database_url=f"sqlite:///{tmp_path}/x/h.db").ballast.folder == tmp_path / "x"
    assert Settings(data_dir=data, database_url="postgresql+psycopg://h/x").ballast.folder == data


@pytest.fixture
def crowded_url(own_disk: Path, sqlite_template: Path) -> str:
    """A database on a small disk, with ballast beside it."""
    shutil.copy(sqlite_template, own_disk / "headway.db")
    assert Ballast(own_disk).restore(0)
    return f"sqlite:///{own_disk}/headway.db"


def test_a_write_that_the_disk_has_no_room_for_gives_the_ballast_up_and_succeeds(
    crowded_url: str, own_disk: Path
) -> None:
    engine = make_engine(crowded_url)
    write = text("INSERT INTO counters (name, value) VALUES (:name, 1)")
    with transaction(engine) as session:
        session.execute(write, {"name": "first"})
    fill(own_disk)
    tries: list[int] = []

    def change(session: object) -> None:
        tries.append(1)
        session.execute(write, {"name": "x" * MIB})  # type: ignore[attr-defined]

    persist(engine, change)
    assert len(tries) == 2
    assert not Ballast(own_disk).path.exists()
    engine.dispose()


def test_without_ballast_it_fails_after_the_patience_for_a_full_disk_and_says_why(
    crowded_url: str, own_disk: Path
) -> None:
    engine = make_engine(crowded_url)
    with transaction(engine) as session:
        session.execute(text("INSERT INTO counters (name, value) VALUES ('first', 1)"))
    Ballast(own_disk).give_up()
    fill(own_disk)
    with pytest.raises(OperationalError) as raised:
        persist(
            engine,
            lambda session: session.execute(text(f"INSERT INTO counters (name, value) VALUES ('{'x' * MIB}', 1)")),
            patience_s=60,
            full_disk_s=0.1,
        )
    assert means_full_disk(raised.value)
    assert not means_full_disk(OperationalError("x", None, Exception("no such table")))
    engine.dispose()
