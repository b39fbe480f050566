"""Hidden characters are shown, and others stay as they are."""

import sys
import unicodedata

import pytest

from pipelines.visible import visible, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x00b\x07c\x7fd\x9be", "a\\x00b\\x07c\\x7fd\\x9be"),
        ("approve \u202etxet\u202c", "approve \\u202etxet\\u202c"),
        ("\u2066in\u2069 \u061c \u200e\u200f", "\\u2066in\\u2069 \\u061c \\u200e\\u200f"),
        ("ma\u200bin\u200c\ufeff\u2060", "ma\\u200bin\\u200c\\ufeff\\u2060"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("half \ud800", "half \\ud800"),
        ("line\u2028para\u2029", "line\\u2028para\\u2029"),
        ("x\u200dy \u200d", "x\\u200dy \\u200d"),
        ("over\rwritten", "over\\x0dwritten"),
    ],
)
def test_hidden_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert (visible(text), visible_line(text)) == (shown, shown)


@pytest.mark.parametrize(
    "text",
    ["Wärme, 光, שלום, سلام", "👩\u200d💻 ❤\ufe0f 👍🏽\u200d🔥", "a\u00a0b e\u0301", "", "one\ttwo\r\nthree\n"],
)
def test_other_text_stays(text: str) -> None:
    assert visible(text) == text


def test_a_line_has_no_tabs_and_line_ends() -> None:
    assert visible_line("one\ttwo\r\n") == "one\\x09two\\x0d\\x0a"


def test_every_character_that_controls_or_formats_is_written_as_an_escape() -> None:
    kept = {"\t", "\n"} | {chr(code) for code in range(0x600, 0x606)} | set("\u06dd\u070f\u0890\u0891\u08e2")
    kept |= {"\U000110bd", "\U000110cd"}  # signs of Arabic, Syriac and Kaithi numbers: they can be seen
    kept |= {chr(code) for code in range(0x13430, 0x13440)}  # of hieroglyphs
    for char in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in kept:
            assert visible(f"a{char}b") != f"a{char}b", hex(ord(char))
