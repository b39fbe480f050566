"""Disks for tests that fill them. A pytest plugin (see conftest.py)."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support.services import PostgresServer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, with room for next to nothing."""
    with mounted_disk(tmp_path / "small", "300k") as place:
        yield place


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 64 MiB, of which 6.4 MiB are the reserve."""
    with mounted_disk(tmp_path / "own", "64m") as place:
        yield place


@contextmanager
def mounted_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of this size at ``place``, until the end of the block."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def database_on(disk: Path, server: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database whose tables are on this disk. The rest of the server's files are elsewhere."""
    place = disk / "tables"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, "postgres", "postgres")
        for folder in (disk, *disk.parents):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    url = server.new_database()
    name = url.rpartition("/")[2]
    admin = server.url("postgres").replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE on_{name} LOCATION '{place}'".encode())
        connection.execute(f"ALTER DATABASE {name} SET TABLESPACE on_{name}".encode())
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        connection.execute(f"DROP TABLESPACE on_{name}".encode())


def fill(folder: Path, free_bytes: int = 0) -> Path:
    """Fills the disk with a file until so much is free. Returns the file."""
    ballast = folder / "ballast-of-test"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while (left := shutil.disk_usage(folder).free - free_bytes) > 0:
            file.write(bytes(min(left, 65_536)))
    return ballast
