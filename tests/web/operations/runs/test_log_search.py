"""Search in a stored log: cases, regular expressions, where it ends and goes on."""

import time
from collections.abc import Callable
from itertools import count, repeat
from pathlib import Path

import pytest
from sqlalchemy import Engine

from runner.events import Stream
from tests.support.logs import logs_fixture
from web.operations.errors import InvalidInputError
from web.operations.runs.log_search import FOUND_MAX, REGEX_LINE_BYTES_MAX, SEARCH_S_MAX, Found, Wanted, search

Search = Callable[..., Found]


@pytest.fixture
def searched(sqlite_database: Engine, tmp_path: Path) -> Search:
    """Searches a log with this content."""
    logs = logs_fixture(sqlite_database, tmp_path)

    numbers = count(1)

    def searched(
        log: bytes, wanted: Wanted, clock_s: Callable[[], float] = time.monotonic, piece_bytes: int = 1000
    ) -> Found:
        address = (1, 1, next(numbers), 1)
        writer = logs.writer(*address)
        writer.append(log, Stream.STDOUT, 0)
        writer.close()
        return search(logs.store, address, wanted, clock_s, piece_bytes)

    return searched


LOG = b"one Error\ntwo \x1b[31merror\x1b[0m: here\n\nfour ERRORS\r\nfive: error"


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (Wanted("error"), [1, 2, 4, 5]),
        (Wanted("error", case=True), [2, 5]),
        (Wanted("error", from_line=3), [4, 5]),
        (Wanted("error$", regex=True), [1, 5]),
        (Wanted("error: h", regex=True), [2]),
        (Wanted("^(one|four) E[a-z]+", regex=True), [1, 4]),
        (Wanted("^(one|four) E[a-z]+", regex=True, case=True), [1]),
        (Wanted("ERRORS$", regex=True, case=True), [4]),
        (Wanted("^$", regex=True), [3]),
        (Wanted("o+.*e+", regex=True), [1, 2, 4]),
        (Wanted(".", regex=True, from_line=6), []),
        (Wanted("nothing"), []),
    ],
)
def test_a_text_or_a_regular_expression_is_found_in_lines(searched: Search, wanted: Wanted, lines: list[int]) -> None:
    for piece_bytes in (4, 1000):
        found = searched(LOG, wanted, piece_bytes=piece_bytes)
        assert (found.lines, found.more, found.searched_lines) == (lines, False, 5)


def test_a_regular_expression_that_cannot_be_used_is_a_sentence(searched: Search) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^The regular expression '\(' is not understood at its end\. Change it"
    ):
        searched(LOG, Wanted("(", regex=True))
    with pytest.raises(InvalidInputError, match=r"^This regular expression is too costly for this text\. Change it"):
        searched(b"a" * REGEX_LINE_BYTES_MAX, Wanted("(a|b){200}" * 2, regex=True))


@pytest.mark.parametrize(("spaces", "lines"), [(0, [1]), (1, [])])
def test_of_a_long_line_a_regular_expression_sees_the_beginning(
    searched: Search, spaces: int, lines: list[int]
) -> None:
    log = b" " * (REGEX_LINE_BYTES_MAX - 3 + spaces) + b"end\n"
    assert searched(log, Wanted("e[n]d", regex=True)).lines == lines


def test_a_text_is_found_anywhere_in_a_long_line(searched: Search) -> None:
    log = b"x" * 10_000 + b"needle" + b"x" * 10_000 + b"\nneedle"
    assert searched(log, Wanted("needle"), piece_bytes=100).lines == [1, 2]
    assert searched(log, Wanted("needle", regex=True), piece_bytes=100).lines == [2]


@pytest.mark.parametrize(("more_lines", "more"), [(0, False), (1, True)])
def test_a_search_ends_after_a_number_of_lines(searched: Search, more_lines: int, more: bool) -> None:
    log = b"x\n" * (FOUND_MAX + more_lines)
    found = searched(log, Wanted("x"), piece_bytes=100_000)
    assert (len(found.lines), found.more, found.searched_lines) == (FOUND_MAX, more, FOUND_MAX)


def test_a_search_ends_after_its_time_and_goes_on_from_there(searched: Search) -> None:
    log = b"nothing\n" * 100 + b"x\n"
    for wanted in (Wanted("x"), Wanted("x", regex=True)):
        found = searched(log, wanted, count(0, SEARCH_S_MAX + 1).__next__, piece_bytes=80)
        assert (found.lines, found.more) == ([], True)
        assert 1 <= found.searched_lines <= 10
        in_time = searched(log, wanted, repeat(SEARCH_S_MAX).__next__, piece_bytes=80)
        assert (in_time.lines, in_time.more, in_time.searched_lines) == ([101], False, 101)
        rest = searched(log, Wanted("x", wanted.regex, from_line=found.searched_lines + 1))
        assert rest.lines == [101]
