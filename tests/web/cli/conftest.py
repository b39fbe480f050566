"""Fixtures: the command line with settings of its own."""

import shutil
from pathlib import Path

import pytest

from tests.web.cli.command import Headway


@pytest.fixture
def headway(tmp_path: Path, sqlite_template: Path) -> Headway:
    """With a database that has all tables: to make them takes longer than most commands."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, folder / "headway.db")
    return Headway(folder)


@pytest.fixture
def settings_of(headway: Headway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in headway.env.items():
        monkeypatch.setenv(name, value)
