"""Template filters, and logs as plain text."""

import pytest

from web.operations.runs.run_verdict import plain_lines
from web.pages.filters import about, ago, duration, ref_name, size


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\n\n", ["a", ""]),
        (b"10%\r50%\r100%\n", ["100%"]),
        (b"windows\r\n", ["windows"]),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b[2K\n", ["red x"]),
        (b"\xff\xfe\n", ["\ufffd\ufffd"]),
    ],
)
def test_plain_lines_are_what_a_terminal_shows(data: bytes, lines: list[str]) -> None:
    assert plain_lines(data) == lines


def test_times_sizes_and_refs_are_formatted_for_people() -> None:
    assert [duration(ms) for ms in (None, 0, 4_230, 12_000, 185_000, 7_620_000)] == [
        "",
        "0.0 s",
        "4.2 s",
        "12 s",
        "3 min 05 s",
        "2 h 07 min",
    ]
    assert [about(ms) for ms in (0, 59_999, 60_000, 3_599_999, 3_600_000, 7_860_000)] == [
        "less than a minute",
        "less than a minute",
        "about 1 min",
        "about 59 min",
        "about 1 h 00 min",
        "about 2 h 11 min",
    ]
    now = 100 * 86_400_000
    assert [ago(now - ms, now) for ms in (0, 60_000, 7_200_000, 2 * 86_400_000, 40 * 86_400_000)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "2 days ago",
        "1970-03-02",
    ]
    assert [size(count) for count in (812, 14_889_779, 5 * 1024**4)] == ["812 B", "14.2 MB", "5.0 TB"]
    assert [ref_name(ref) for ref in ("refs/heads/a/b", "refs/tags/v1", "refs/pull/7/head", "refs/sent/1")] == [
        "a/b",
        "v1",
        "pull/7/head",
        "uncommitted tree",
    ]
