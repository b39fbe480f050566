"""Which lines of a log belong together."""

import pytest

from runner.events import Stream
from tests.web.conftest import Site
from web.operations.runs.log_groups import (
    BYTES_MAX,
    DEPTH_MAX,
    GROUPS_MAX,
    SEARCH_S_MAX,
    TITLE_CHARS_MAX,
    Groups,
    groups_of,
)

COMMANDS = ("make", "make test", "a", "x")


def grouped(
    site: Site,
    data: bytes,
    bytes_max: int = BYTES_MAX,
    times: tuple[float, ...] = (),
    commands: tuple[str, ...] = COMMANDS,
) -> Groups:
    site.add_repo()
    begun = site.begin()
    claim = begun.claim
    writer = site.services.logs.writer(claim.run_id, claim.job_id, 1, claim.attempt)
    writer.append(data, Stream.STDOUT, 1)
    writer.close()
    clock = iter(times)
    address = (claim.run_id, claim.job_id, 1, claim.attempt)
    return groups_of(site.services.logs, address, commands, None, lambda: next(clock, 0.0), bytes_max)


def found(site: Site, data: bytes) -> list[tuple[str, int, int, str]]:
    return [(each.kind, each.line, each.last, each.title) for each in grouped(site, data).groups]


def test_a_command_ends_before_the_next_one_and_with_the_log(site: Site) -> None:
    assert found(site, b"first\n+ make\na\nb\n+ make test\nc") == [
        ("command", 2, 4, "make"),
        ("command", 5, 6, "make test"),
    ]


def test_a_difference_of_files_and_a_shell_that_traces_are_output(site: Site) -> None:
    data = b"+ git diff\n--- a/x.md\n+++ b/x.md\n@@ -1 +1,2 @@\n+ make it\n+ git\n+ make\nok\n+ set -x\n+ make\n"
    groups = grouped(site, data, commands=("git diff", "make")).groups
    assert [(each.line, each.last, each.title) for each in groups] == [
        (1, 6, "git diff"),
        (7, 9, "make"),
        (10, 10, "make"),
    ]


def test_a_step_without_commands_has_no_command(site: Site) -> None:
    assert grouped(site, b"+ make\na\n", commands=()).groups == []


def test_groups_of_github_are_inside_of_commands(site: Site) -> None:
    data = b"+ make\n::group::Install <b>\na\n##[group]Inner\nb\n##[endgroup]\n::endgroup::\nc\n::endgroup::\n"
    assert found(site, data) == [("command", 1, 9, "make"), ("github", 2, 7, "Install <b>"), ("github", 4, 6, "Inner")]


def test_sections_of_gitlab_are_named_by_their_header(site: Site) -> None:
    data = (
        b"\x1b[0Ksection_start:1560896352:my_first[collapsed=true]\r\x1b[0KHeader of it\na\n"
        b"\x1b[0Ksection_end:1560896353:my_first\r\x1b[0K\nsection_start:1:bare\r\nb\nsection_end:2:bare\n"
    )
    assert found(site, data) == [("gitlab", 1, 3, "Header of it"), ("gitlab", 4, 6, "bare")]


def test_groups_of_buildkite_end_with_the_next_one_or_a_command(site: Site) -> None:
    data = b"--- :docker: Build\na\n+++ Tests\nb\n~~~ Quiet\n+ make\n--- In it\nc\n"
    assert found(site, data) == [
        ("buildkite", 1, 2, ":docker: Build"),
        ("buildkite", 3, 4, "Tests"),
        ("buildkite", 5, 5, "Quiet"),
        ("command", 6, 8, "make"),
        ("buildkite", 7, 8, "In it"),
    ]


@pytest.mark.parametrize(
    "line", [b"--- a/x.py", b"+++ b/x.py", b"--- /dev/null", b"---- x", b"---", b" + x", b"x::group::y", b"++ x", b""]
)
def test_other_lines_begin_no_group(site: Site, line: bytes) -> None:
    assert found(site, line + b"\nx\n") == []


def test_an_end_without_a_begin_changes_nothing(site: Site) -> None:
    assert found(site, b"::endgroup::\n+ a\nsection_end:1:x\nb\n") == [("command", 2, 4, "a")]


@pytest.mark.parametrize(("depth", "count"), [(DEPTH_MAX, DEPTH_MAX), (DEPTH_MAX + 1, DEPTH_MAX)])
def test_so_deep_groups_are_nested(site: Site, depth: int, count: int) -> None:
    assert len(found(site, b"::group::x\n" * depth)) == count


@pytest.mark.parametrize(("count", "groups"), [(GROUPS_MAX, GROUPS_MAX), (GROUPS_MAX + 1, GROUPS_MAX)])
def test_so_many_groups_are_found(site: Site, count: int, groups: int) -> None:
    assert len(found(site, b"+ x\n" * count)) == groups


@pytest.mark.parametrize(
    ("length", "shown"), [(TITLE_CHARS_MAX, TITLE_CHARS_MAX), (TITLE_CHARS_MAX + 1, TITLE_CHARS_MAX)]
)
def test_a_long_title_is_cut(site: Site, length: int, shown: int) -> None:
    (group,) = grouped(site, b"+ " + b"x" * length + b"\n", commands=("x" * length,)).groups
    assert group.title == "x" * shown


def test_of_a_long_log_a_part_is_looked_at(site: Site) -> None:
    data = b"+ a\nb\n"
    assert grouped(site, data, len(data)).more is False


def test_a_longer_log_is_not_looked_at_to_its_end(site: Site) -> None:
    data = b"+ a\nb\n"
    result = grouped(site, data + b"c", len(data))
    assert (result.more, result.searched_lines, result.groups[0].last) == (True, 2, 2)


@pytest.mark.parametrize(("late_s", "more"), [(SEARCH_S_MAX, False), (SEARCH_S_MAX + 1, True)])
def test_a_slow_search_ends(site: Site, late_s: float, more: bool) -> None:
    data = b"x" * 99 + b"\n"
    assert grouped(site, data * 4000, times=(0.0, late_s)).more is more


def test_a_line_of_any_length_costs_no_memory_and_no_group(site: Site) -> None:
    assert found(site, b"x" * 600_000 + b"\n+ a\n") == [("command", 2, 2, "a")]


def test_a_log_without_output_has_no_groups(site: Site) -> None:
    assert grouped(site, b"") == Groups()


def took(site: Site, written: list[tuple[int, bytes]], finished_ms: int | None) -> list[tuple[str, int | None]]:
    """What was written at which time, and how long each group of it took."""
    site.add_repo()
    claim = site.begin().claim
    address = (claim.run_id, claim.job_id, 1, claim.attempt)
    writer = site.services.logs.writer(*address)
    for at_ms, data in written:
        writer.append(data, Stream.STDOUT, at_ms)
    writer.close()
    groups = groups_of(site.services.logs, address, COMMANDS, finished_ms).groups
    return [(each.title, each.took_ms) for each in groups]


def test_a_command_takes_until_the_next_one_begins_and_the_last_one_until_the_step_ends(site: Site) -> None:
    written = [(1_000, b"+ make\n"), (2_000, b"said\n"), (5_500, b"+ make test\n"), (6_000, b"ok\n")]
    assert took(site, written, 9_000) == [("make", 4_500), ("make test", 3_500)]


def test_while_the_step_runs_the_time_of_its_last_command_is_not_known(site: Site) -> None:
    assert took(site, [(1_000, b"+ make\n"), (1_200, b"+ a\n"), (2_000, b"x")], None) == [("make", 200), ("a", None)]


def test_a_marked_group_takes_until_its_end(site: Site) -> None:
    written = [(1_000, b"+ make\n::group::In\n"), (3_000, b"x\n"), (4_000, b"::endgroup::\n"), (8_000, b"y\n")]
    assert took(site, written, 10_000) == [("make", 9_000), ("In", 3_000)]


def test_long_lines_and_pieces_do_not_move_the_times(site: Site) -> None:
    long = b"x" * 700_000 + b"\n" + b"y" * 999 + b"\n" + b"z" * 1_001 + b"\n"
    written = [(1_000, b"+ make\n" + long), (7_000, b"+ a\n" + long), (8_000, b"::group::In\n::endgroup::\n")]
    assert took(site, written, 9_000) == [("make", 6_000), ("a", 2_000), ("In", 0)]


def test_a_clock_that_is_set_back_makes_no_negative_time(site: Site) -> None:
    assert took(site, [(5_000, b"+ make\n"), (1_000, b"+ a\n")], 500) == [("make", 0), ("a", 0)]
