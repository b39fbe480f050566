"""Patterns of conditions that may match are left alone. tests/mistakes/patterns-that-match-nothing has the others."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.matching.glob import matches
from pipelines.problem import Level

MAY_MATCH = [
    ("branch", "main", "main"),
    ("branch", "release/**", "release/1/x"),
    ("branch", "release-{1,2}", "release-2"),
    ("branch", "[!a]*", "main"),
    ("branch", "[^a]*", "main"),
    ("branch", r"\!main", "!main"),
    ("branch", r"a\|b", "a|b"),
    ("branch", "origin", "origin"),
    ("branch", "release-.*", "release-.1"),
    ("branch", "a.lock.b", "a.lock.b"),
    ("branch", "**", "a/b"),
    ("branch", "a$b", "a$b"),
    ("ref", "refs/tags/v*", "refs/tags/v1"),
    ("ref", "refs/{heads,tags}/*", "refs/heads/main"),
    ("ref", "**/main", "refs/heads/main"),
    ("ref", "*/*/*", "refs/heads/main"),
    ("ref", "**", "refs/heads/main"),
    ("ref", "{refs/heads/main,refs/tags/v1}", "refs/tags/v1"),
    ("path", "src/**", "src/a"),
    ("path", "src", "src"),
    ("path", "**", ".a"),
    ("path", ".github/**", ".github/a"),
    ("path", "..a", "..a"),
    ("path", "a b,c|d", "a b,c|d"),
    ("path", "Main$", "Main$"),
    ("platform", "linux/arm64", "linux/arm64"),
    ("platform", "linux/*", "linux/arm64"),
    ("platform", "linux/armv7l", "linux/armv7l"),
    ("platform", "linux/riscv64", "linux/riscv64"),
    ("cron", "0 3 nightly", "0 3 nightly"),
    ("cron", "every day at three o'clock", "every day at three o'clock"),
    ("repo", "owner/{a, b}", "owner/a"),
]


def warnings(condition: str) -> list[str]:
    text = f"when:\n  {condition}\nsteps: [{{name: a, image: 'alpine:3.22', commands: make}}]\n"
    problems = lint_files([PipelineFile(".headway.yml", text.encode())])
    return [f"{each.message}; {each.hint}" for each in problems if each.level is not Level.HINT]


@pytest.mark.parametrize(("key", "pattern", "matching"), MAY_MATCH)
def test_nothing_is_said_of_a_pattern_that_may_match(key: str, pattern: str, matching: str) -> None:
    assert matches(pattern, matching)
    event = "event: cron\n  " if key == "cron" else ""
    quoted = pattern.replace("'", "''")
    assert warnings(f"{event}{key}: '{quoted}'") == []


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("branch: '*|main'", 'write branch: ["*", main]'),
        ("branch: (main|dev)", "write branch: [main, dev]"),
        ("branch: /main", "write branch: main"),
        ("branch: {include: [main, ' x']}", "write include: [x]"),
        ("branch: '!{a,b}'", 'write branch: {exclude: "{a,b}"}'),
        ("path: ./", 'write path: "**"'),
        ("path: .", 'write path: "**"'),
        ("path: {exclude: /docs/}", "write exclude: docs/**"),
        ("ref: 'tags/*'", "write ref: refs/tags/*"),
        ("ref: refs/v1", "write ref: refs/tags/v1 for tags, or ref: refs/heads/v1 for branches"),
    ],
)
def test_the_remedy_can_be_copied(condition: str, hint: str) -> None:
    assert [each.rpartition("; ")[2] for each in warnings(condition)] == [hint]


def test_a_reference_becomes_a_pattern_before_it_is_judged() -> None:
    assert warnings("branch: ${CI_REPO_DEFAULT_BRANCH}") == []


def test_a_long_pattern_is_judged_in_linear_time_and_shown_on_one_line() -> None:
    (warning,) = warnings('branch: "!' + "a" * 1900 + '\\nb"')
    assert "\n" not in warning
