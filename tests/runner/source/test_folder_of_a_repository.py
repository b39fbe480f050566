"""`headway run` in a folder of a repository whose pipeline files are at its root."""

import subprocess
from pathlib import Path

import pytest

from runner.errors import StepError
from runner.source.working_tree import working_tree


def refused(folder: Path) -> str:
    with pytest.raises(StepError) as error:
        working_tree(folder).pipeline()
    return str(error.value)


def test_the_repositorys_own_files_are_named(tmp_path: Path) -> None:
    root, inner = tmp_path / "app", tmp_path / "app" / "docs" / "guide"
    inner.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    assert "write a .headway.yml" in refused(inner), "the repository has none either"
    (root / ".headway").mkdir()
    (root / ".headway" / "test.yml").write_text("steps: []\n")
    begins = f"{inner} has no pipeline file and no Dockerfile; its repository has pipeline files, so name the "
    assert refused(inner).startswith(f"{begins}repository's folder: {root}")


def test_files_above_the_repository_are_not_its_own(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text("steps: []\n")
    for name in ("repository", "plain"):
        (tmp_path / name).mkdir()
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "repository")], check=True)
    assert "write a .headway.yml" in refused(tmp_path / "repository")
    assert "write a .headway.yml" in refused(tmp_path / "plain")
