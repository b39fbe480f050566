"""Fixtures of the runner's tests."""

from pathlib import Path

import pytest

from runner.source.mirrors.mirror import Mirror
from tests.support.repos import Repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "remote.git")


@pytest.fixture
def mirror(tmp_path: Path, repo: Repo) -> Mirror:
    return Mirror(tmp_path / "mirrors", repo.url)
