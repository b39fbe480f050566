"""What programs print for a terminal, made readable and harmless."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.logs.ansi import harmless, last_state, without_escapes


@pytest.mark.parametrize(
    ("line", "left"),
    [
        (b"plain", b"plain"),
        (b"10%\r50%\r100%", b"100%"),
        (b"10%\r50%\r", b"50%\r"),
        (b"50%\r\r\r", b"50%\r"),
        (b"\r\r", b"\r"),
        (b"", b""),
    ],
)
def test_of_a_line_that_was_drawn_over_the_last_state_is_left(line: bytes, left: bytes) -> None:
    assert last_state(line) == left


@given(st.lists(st.sampled_from([b"a", b"b", b"\r"]), max_size=12), st.integers(0, 12))
def test_the_last_state_is_the_same_however_the_line_came(parts: list[bytes], cut: int) -> None:
    first, second = b"".join(parts[:cut]), b"".join(parts[cut:])
    assert last_state(last_state(first) + second) == last_state(first + second)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;38:5:9mred\x1b[0m", "\x1b[1;38:5:9mred\x1b[0m"),
        ("\x1bcreset", "reset"),
        ("\x1b(0lines\x1b#8", "lines"),
        ("\x1b[2J\x1b[H\x1b[?25l\x1b[1Aup", "up"),
        ("\x1b]0;title\x07x\x1b]0;title\x1b\\y", "xy"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\\x1b_G=1;\x1b\\x", "x"),
        ("\x1b", ""),
        ("\x1b[", "["),
        ("bell\x07 and ba\x08ck", "bell and back"),
        ("\x00\x0e\x05\x9b31m\x7f\ttab", "���\ufffd31m\ufffd\ttab"),
        ("ü☃ 漢字", "ü☃ 漢字"),
    ],
)
def test_a_line_keeps_its_colours_and_nothing_else_that_a_terminal_obeys(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert "\x1b" not in without_escapes(text)


@given(st.text(st.sampled_from("\x1b[]()Pm0;?\x07\x9b\x9c\x0e\x0fc\\_^X7 a")))
def test_whatever_comes_only_colours_are_left(text: str) -> None:
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", harmless(text))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", rest)
