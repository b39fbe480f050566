"""The files of a working tree: what is not committed counts with its bytes, and a commit of it changes nothing."""

import subprocess
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from runner.reuse.sources import LINK, SourceTree, UnknownSourcesError
from runner.reuse.working_files import working_entries
from runner.source.working_tree import working_tree
from tests.support.repos import WHO


class Folder:
    """A git repository with a working tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q")
        for name in ("src/a", "src/b", "other"):
            self.write(name, name)
        self.commit()

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", str(self.path), *arguments], check=True, env={"PATH": "/usr/bin:/bin", **WHO})

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "all of it")

    def state(self, pattern: str = "src") -> str:
        return SourceTree(lambda: working_entries(working_tree(self.path), Checkout())).states([pattern])[pattern]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_change_counts_before_and_after_its_commit_alike(folder: Folder) -> None:
    before = folder.state()
    folder.write("src/a", "changed")
    folder.write("src/deep/new", "new")
    dirty = folder.state()
    assert dirty != before
    folder.commit()
    assert folder.state() == dirty
    folder.write("src/a", "src/a")
    (folder.path / "src/deep/new").unlink()
    assert folder.state() == before


def test_what_does_not_match_or_is_ignored_does_not_count(folder: Folder) -> None:
    before = folder.state()
    folder.write("other", "changed")
    folder.write(".gitignore", "src/ignored\n")
    folder.write("src/ignored", "x")
    assert folder.state() == before


def test_removed_files_and_modes_and_links_count(folder: Folder) -> None:
    found = [folder.state()]
    (folder.path / "src/b").unlink()
    found.append(folder.state())
    (folder.path / "src/a").chmod(0o755)
    found.append(folder.state())
    (folder.path / "src/b").symlink_to("a")
    found.append(folder.state())
    assert len(set(found)) == len(found)
    entries = working_entries(working_tree(folder.path), Checkout())
    assert [entry.object for entry in entries if entry.mode == LINK] == ["a"]


def test_other_ends_of_lines_count_though_git_would_convert_them(folder: Folder) -> None:
    folder.git("config", "core.autocrlf", "input")
    folder.write("src/a", "one\ntwo\n")
    plain = folder.state()
    (folder.path / "src/a").write_bytes(b"one\r\ntwo\r\n")
    assert folder.state() != plain


def test_where_the_content_cannot_be_known_it_says_why(folder: Folder, tmp_path: Path) -> None:
    folder.write("src/a\nb", "x")
    with pytest.raises(UnknownSourcesError, match="has a line break in its name"):
        folder.state()
    with pytest.raises(UnknownSourcesError, match="not the root of a git repository"):
        working_entries(working_tree(folder.path / "src"), Checkout())
    with pytest.raises(UnknownSourcesError, match="submodules"):
        working_entries(working_tree(tmp_path), Checkout(submodules=True))
