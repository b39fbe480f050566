"""``headway run`` again: what has not changed does not run, and what it left is there."""

from pathlib import Path

import pytest

from tests.runner.cli.test_run import Tree

pytestmark = pytest.mark.engine

PIPELINE = """\
steps:
  - name: make
    image: busybox
    commands: [mkdir -p out, cat src/a > out/made]
    sources: src
    artifacts: out
  - name: check
    image: busybox
    commands: [cat out/made docs/text]
    sources: [src, docs]
"""


@pytest.mark.usefixtures("engine")
def test_only_what_has_changed_runs_again(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", tmp_path / "left")
    tree.write({".headway.yml": PIPELINE, "src/a": "one\n", "docs/text": "first\n"}).commit()
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert "unchanged" not in tree.run(**cache).stdout
    again = tree.run(**cache).stdout
    assert again.count("passed: unchanged since the run of ") == 2
    assert "headway: out/made (4 bytes)" in again
    tree.write({"docs/text": "second\n"})
    changed = tree.run(**cache).stdout
    assert changed.count("passed: unchanged since the run of ") == 1
    assert "check | headway: it runs: source 'docs' changed since the run of " in changed
    assert "check | one\n" in changed
    assert "check | second\n" in changed
    assert "unchanged" not in tree.run("--no-reuse", **cache).stdout


@pytest.mark.usefixtures("engine")
def test_a_run_that_fails_leaves_no_result(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", tmp_path / "left")
    failing = PIPELINE.replace("cat out/made docs/text", "cat out/made missing")
    tree.write({".headway.yml": failing, "src/a": "one\n", "docs/text": "x\n"}).commit()
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for _ in range(2):
        ended = tree.run(**cache)
        assert ended.returncode == 1
        assert "unchanged" not in ended.stdout


@pytest.mark.usefixtures("engine")
def test_a_step_in_the_image_just_built_leaves_nothing_in_the_checkout_also_when_it_is_reused(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", tmp_path / "left")
    pipeline = """\
steps:
  - {name: app, build: .}
  - {name: test, commands: [mkdir out, cp a out/b], sources: src, artifacts: out}
  - {name: look, image: busybox, commands: [test ! -e out, cat docs], sources: docs}
"""
    dockerfile = "FROM busybox\nCOPY src /src\nWORKDIR /src\n"
    tree.write({".headway.yml": pipeline, "Dockerfile": dockerfile, "src/a": "one\n", "docs": "first\n"}).commit()
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = tree.run(**cache)
    assert first.returncode == 0, first.stdout
    tree.write({"docs": "second\n"})
    again = tree.run(**cache)
    assert again.returncode == 0, again.stdout
    assert "test passed: unchanged since" in again.stdout
    assert "look | second\n" in again.stdout
