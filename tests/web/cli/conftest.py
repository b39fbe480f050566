"""Fixtures: the command line with settings of its own."""

from pathlib import Path

import pytest

from tests.web.cli.command import Headway


@pytest.fixture
def headway(tmp_path: Path) -> Headway:
    return Headway(tmp_path / "data")


@pytest.fixture
def settings_of(headway: Headway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in headway.env.items():
        monkeypatch.setenv(name, value)
