"""Which tests `make quick` runs for what was changed."""

import subprocess
from pathlib import Path

import pytest

from scripts.changed_tests import changed_since, places_of
from tests.support.repos import WHO


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["runner/caches/store.py"], ["tests/runner/caches"]),
        (["runner/caches/store.py", "runner/caches/files.py"], ["tests/runner/caches"]),
        (["runner/file_locks.py", "runner/caches/store.py"], ["tests/runner"]),
        (["workers/store/runs/no_tests_of_its_own/x.py"], ["tests/workers/store"]),
        (["web/templates/run.html"], ["tests/web"]),
        (["tests/runner/caches/test_store.py"], ["tests/runner/caches/test_store.py"]),
        (["tests/web/conftest.py"], ["tests/web"]),
        (["tests/conftest.py", "pyproject.toml", "Makefile"], []),
        (["README.md", "docs/using/caches.md"], ["tests/docs"]),
        (["tests/web/gone/test_gone.py"], []),
        ([], []),
    ],
)
def test_a_room_has_its_tests_in_the_folder_of_its_name(changed: list[str], tests: list[str], tmp_path: Path) -> None:
    for folder in ("tests/runner/caches", "tests/workers/store", "tests/web", "tests/docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests/runner/caches/test_store.py").touch()
    assert places_of(changed, tmp_path) == tests


def test_what_is_changed_is_committed_or_not_yet_or_new(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True, env=WHO)

    git("init", "-q")
    for name in ("a.py", "b ü.py", ".gitignore"):
        (tmp_path / name).write_text("ignored.py\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert changed_since("", tmp_path) == []
    (tmp_path / "b ü.py").write_text("changed")
    (tmp_path / "new.py").write_text("")
    (tmp_path / "ignored.py").write_text("")
    assert changed_since("", tmp_path) == ["b ü.py", "new.py"]
    git("commit", "-q", "-a", "-m", "second")
    assert changed_since("", tmp_path) == ["new.py"]
    assert changed_since("HEAD~1", tmp_path) == ["b ü.py", "new.py"]
