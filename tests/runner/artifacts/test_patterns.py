"""Which files the patterns of artifacts mean."""

import pytest

from runner.artifacts.patterns import Patterns, fixed_start


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        ("report.xml", "report.xml"), ("a/b/*.xml", "a/b"), ("*.xml", ""), ("**", ""), ("./a//b", "a/b"),
        ("a/{b,c}/d", "a"), ("a\\*/b", ""),
    ],
)  # fmt: skip
def test_the_start_of_a_pattern_that_stands_for_itself(pattern: str, start: str) -> None:
    assert fixed_start(pattern) == start


@pytest.mark.parametrize(
    ("paths", "starts"),
    [
        (["a/b", "a"], ["a"]),
        (["a", "ab"], ["a", "ab"]),
        (["a/*.x", "a/b/c", "z"], ["a", "z"]),
        (["a", "*.xml"], [""]),
    ],
)
def test_no_start_is_inside_another(paths: list[str], starts: list[str]) -> None:
    assert Patterns(paths, ()).starts() == starts


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("dist/**", "dist", True), ("dist/**", "dist/a", True), ("dist/**", "src", False), ("a/b/c", "a", True),
        ("a/b/c", "ab", False), ("*.xml", "any", True), ("a", "a/b", True),
    ],
)  # fmt: skip
def test_only_folders_that_can_have_matches_are_looked_into(pattern: str, folder: str, *, expected: bool) -> None:
    assert Patterns([pattern], ()).may_be_below(folder) is expected


def test_it_remembers_what_matched() -> None:
    patterns = Patterns(["a", "*.xml", "none"], ["a/tmp"])
    assert patterns.found("a") == {"a"}
    assert patterns.found("a/b") == set()
    assert patterns.is_excluded("a/tmp")
    patterns.use(patterns.found("r.xml") | patterns.found("a"))
    assert patterns.unmatched == ["none"]
