"""Where a test failed, from what it says."""

import pytest

from runner.reports.places import NUMBERS_COUNT_MAX, in_checkout, place_in
from runner.reports.words import BoundedText, one_line, plain_text


@pytest.mark.parametrize(
    ("text", "hints", "place"),
    [
        ("src/app.py:3: in f\ntests/test_a.py:12: AssertionError", "tests.test_a", ("tests/test_a.py", 12)),
        ("at X (/headway/src/a.test.js:5:17)\nat Y (b.js:1:1)", "a", ("a.test.js", 5)),
        ("at X (node_modules/x/a.js:5:17)\nat Y (lib.js:1:1)", "", ("lib.js", 1)),
        ("no place: 12:30:00 at 10.0.0.1:8080", "", ("", 0)),
        ("", "", ("", 0)),
        ("in C:\\src\\A.cs:line 7", "A", ("/src/A.cs", 7)),
    ],
)
def test_a_place_is_found(text: str, hints: str, place: tuple[str, int]) -> None:
    assert place_in(text, hints, "/headway/src") == place


def test_of_very_many_numbers_the_first_and_the_last_are_looked_at() -> None:
    text = "first.go:1: x\n" + "(5) " * (2 * NUMBERS_COUNT_MAX)
    assert place_in(text, "", "/w") == ("first.go", 1)


def test_a_path_in_the_checkout_is_relative_to_it() -> None:
    assert in_checkout("/headway/src/a/b.py", "/headway/src") == "a/b.py"
    assert in_checkout("./a/../b.py", "/headway/src") == "b.py"
    assert in_checkout("/elsewhere/b.py", "/headway/src") == "/elsewhere/b.py"
    assert in_checkout("", "/headway/src") == ""


def test_words_are_harmless() -> None:
    assert one_line("a\nb\x1b[31mc\u202e", 20) == "a bc"
    assert one_line("x" * 5, 5) == "xxxxx"
    assert one_line("x" * 6, 5) == "xxxx…"
    assert plain_text("a\r\nb\tc\x00\x1b[1md\u2066") == "a\nb\tcd"


def test_a_bounded_text_keeps_its_beginning_and_its_end() -> None:
    text = BoundedText(80)
    for letter in "abcdefgh":
        text.add(letter * 9)
    assert text.take() == "".join(letter * 9 for letter in "abcdefgh")
    for letter in "abcdefghijkl":
        text.add(letter * 9)
    taken = text.take()
    assert len(taken) == 80
    assert taken.startswith("a" * 9)
    assert taken.endswith("l" * 9)
    assert "\n[...]\n" in taken
    assert text.take() == ""
