"""The content of sources: what patterns match in a tree, what makes all of it count, and the limits."""

import pytest

from runner.reuse import sources
from runner.reuse.sources import LINK, SUBMODULE, TREE, SourceTree, TreeEntry, UnknownSourcesError, entries_of

FILE = "100644"


def tree(*changed: tuple[str, str, str]) -> SourceTree:
    """A tree with some files, where each of ``changed`` (path, mode, id) takes the place of the entry with its path."""
    known = dict.fromkeys(("README", "src/a.py", "src/deep/b.py", "docs/a.md", "lib/x"), (FILE, "1"))
    known |= dict.fromkeys(("src", "src/deep", "docs", "lib"), (TREE, "t"))
    known |= {path: (mode, identifier) for path, mode, identifier in changed}
    return SourceTree(lambda: [TreeEntry(path, *about) for path, about in known.items()])


def state(of: SourceTree, pattern: str) -> str:
    return of.states([pattern])[pattern]


@pytest.mark.parametrize("pattern", ["src", "src/**", "src/**/*.py", "**/*.py", "src/deep", "s*", "{src,docs}"])
def test_a_change_of_a_matched_file_changes_the_state(pattern: str) -> None:
    assert state(tree(), pattern) != state(tree(("src/deep/b.py", FILE, "2")), pattern)
    assert state(tree(), pattern) != state(tree(("src/deep/b.py", "100755", "1")), pattern)
    assert state(tree(), pattern) == state(tree(("README", FILE, "2")), pattern)


def test_a_new_file_that_matches_changes_the_state_and_the_order_of_entries_does_not() -> None:
    assert state(tree(), "src") != state(tree(("src/c.py", FILE, "1")), "src")
    entries = [TreeEntry("a", FILE, "1"), TreeEntry("a-b", FILE, "2"), TreeEntry("a/c", FILE, "3")]
    assert state(SourceTree(lambda: entries), "**") == state(SourceTree(lambda: entries[::-1]), "**")


@pytest.mark.parametrize("mode", [LINK, SUBMODULE])
def test_behind_a_link_or_a_submodule_anything_may_be(mode: str) -> None:
    there, other = ("src/way", mode, "1"), ("README", FILE, "2")
    assert state(tree(there), "src/way/in/*.c") != state(tree(there, other), "src/way/in/*.c")
    if mode == LINK:
        assert state(tree(there), "src") != state(tree(there, other), "src")


def test_a_pattern_that_matches_nothing_is_not_known() -> None:
    with pytest.raises(UnknownSourcesError, match=r"no file matches its source 'test/\*\*'"):
        tree().states(["test/**"])


def test_files_that_say_how_git_checks_out_count_always() -> None:
    assert tree().git_files() != tree(("docs/.gitattributes", FILE, "1")).git_files()


def test_more_entries_than_the_limit_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TREE_ENTRIES_COUNT_MAX", 9)
    assert state(tree(), "src")
    with pytest.raises(UnknownSourcesError, match="more than 9 files and folders"):
        tree(("one-more", FILE, "1")).states(["src"])


def test_more_work_than_the_limit_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    work_characters = len("doc?/*") * (len("docs") + len("docs/a.md") + sum(map(len, ("README", "lib", "lib/x"))))
    work_characters += len("doc?/*") * sum(map(len, ("src", "src/a.py", "src/deep", "src/deep/b.py")))
    monkeypatch.setattr(sources, "WORK_CHARACTERS_MAX", work_characters)
    assert state(tree(), "doc?/*")
    monkeypatch.setattr(sources, "WORK_CHARACTERS_MAX", work_characters - 1)
    with pytest.raises(UnknownSourcesError, match="too much to compare"):
        tree().states(["doc?/*"])


def test_a_list_that_fails_is_asked_for_once() -> None:
    asked = []

    def fails() -> list[TreeEntry]:
        asked.append(1)
        raise UnknownSourcesError("git is away")

    broken = SourceTree(fails)
    for _ in range(2):
        with pytest.raises(UnknownSourcesError, match="git is away"):
            broken.states(["src"])
    assert asked == [1]


def test_the_output_of_git_is_read_with_any_name() -> None:
    listed = b"040000 tree aa\tsrc\x00100644 blob bb\tsrc/\xff\n\tx\x00"
    assert entries_of(listed) == [TreeEntry("src", TREE, "aa"), TreeEntry("src/\udcff\n\tx", FILE, "bb")]
