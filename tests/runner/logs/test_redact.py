"""Secrets are masked in any form, and however the stream is cut."""

import base64
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.logs.redact import MASK, RedactedStream, Redactor
from runner.logs.spellings import spellings

# Letters that collide often, so that secrets overlap, repeat and begin like each other.
LETTERS = "abAB1"
SECRETS = st.lists(st.text(LETTERS, min_size=4, max_size=9), min_size=1, max_size=5)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], bytes, list[bytes]]:
    """Secrets, a text that holds some of them and parts of them, and the same text in pieces."""
    secrets = draw(SECRETS)
    parts = st.one_of(st.sampled_from(secrets), st.text(LETTERS + "\n", max_size=6))
    data = "".join(draw(st.lists(parts, max_size=12))).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return secrets, data, pieces


def masked(redactor: Redactor, pieces: list[bytes]) -> bytes:
    stream = RedactedStream(redactor)
    return b"".join([*(stream.feed(piece) for piece in pieces), stream.flush()])


@pytest.mark.stress
@given(streams())
def test_however_the_stream_is_cut_the_result_is_that_of_the_whole(case: tuple[list[str], bytes, list[bytes]]) -> None:
    secrets, data, pieces = case
    redactor = Redactor(secrets)
    assert masked(redactor, pieces) == redactor.mask(data)


@pytest.mark.stress
@given(streams())
def test_no_secret_is_in_the_result(case: tuple[list[str], bytes, list[bytes]]) -> None:
    secrets, _, pieces = case
    result = masked(Redactor(secrets), pieces)
    assert [secret for secret in secrets if secret.encode() in result] == []


@pytest.mark.parametrize("lead", range(3))
@pytest.mark.parametrize("length", range(20, 23))
def test_of_base64_all_that_the_secret_alone_decides_is_masked(lead: int, length: int) -> None:
    secret = "Zk9".join("abcdefghij")[:length]
    text = base64.b64encode(b"x" * lead + secret.encode() + b"y" * 7)
    # Six bits a character, eight a byte.
    first, end = -(-8 * lead // 6), 8 * (lead + length) // 6
    assert Redactor([secret]).mask(text) == text[:first] + MASK + text[end:]


def bare(secrets: list[str], data: bytes) -> list[bytes]:
    """The pieces of ``data`` that no spelling of any secret touches, found the slow way."""
    touched = bytearray(len(data))
    places = [at for at in range(len(data)) if data[at : at + 1].strip()]
    packed = bytes(data[at] for at in places)
    for secret in secrets:
        forms = spellings(secret)
        for form in forms.plain:
            for at in range(len(data)):
                if data.startswith(form, at):
                    touched[at : at + len(form)] = b"\1" * len(form)
        for form in forms.packed:
            for at in range(len(packed)):
                if packed.startswith(form, at):
                    start, end = places[at], places[at + len(form) - 1] + 1
                    touched[start:end] = b"\1" * (end - start)
    return [data[run.start() : run.end()] for run in re.finditer(rb"\0+", touched)]


@pytest.mark.stress
@given(streams())
def test_every_byte_of_a_secret_is_hidden_and_no_other_is_lost(case: tuple[list[str], bytes, list[bytes]]) -> None:
    secrets, data, pieces = case
    kept = masked(Redactor(secrets), pieces).split(MASK)
    assert [text for text in kept if text] == bare(secrets, data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("secrets", "data", "shown"),
    [
        (["abcdef", "defghi"], "<abcdefghi>", "<********>"),
        (["abcdefgh", "cdef"], "<abcdefgh cdef>", "<******** ********>"),
        (["abcd", "abcdef"], "<abcd abcdef abcde>", "<******** ******** ********e>"),
        (["bcde", "abcdefgh"], "<abcdefg>", "<a********fg>"),
        (["abab"], "<abababab abab>", "<******** ********>"),
        (["abab", "babz"], "ababababz!", "********!"),
        (["secret"], "secretsecret", "****************"),
        (
            ["-----BEGIN-----\nfirst line\nlast line\n-----END-----"],
            "x first line\nlast line y",
            "x ********\n******** y",
        ),
        (["-----BEGIN-----\nfirst line\n-----END-----"], "-----BEGIN-----\nfirst line\n-----END-----", "********"),
    ],
)
def test_secrets_that_overlap_leave_no_piece_of_each_other(
    secrets: list[str], data: str, shown: str, size: int
) -> None:
    raw = data.encode()
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    assert masked(Redactor(secrets), pieces) == shown.encode()


@pytest.mark.slow
@given(st.binary(), st.lists(st.text(LETTERS, max_size=3)))
def test_without_a_secret_every_byte_comes_through_at_once(data: bytes, short: list[str]) -> None:
    stream = RedactedStream(Redactor(short))
    assert stream.feed(data) == data
    assert stream.flush() == b""


@pytest.mark.slow
@given(st.text(min_size=4), st.binary(max_size=5), st.binary(max_size=5))
def test_any_text_is_masked_as_it_is_and_as_tools_print_it(secret: str, before: bytes, after: bytes) -> None:
    assume(len(secret.strip().encode()) >= 8)
    redactor = Redactor([secret])
    raw = secret.encode()
    encoded = base64.b64encode(before + raw + after)
    # The first and last characters also depend on what stands around.
    inner = encoded[(len(before) + 2) * 4 // 3 + 1 : (len(before) + len(raw)) * 4 // 3 - 2]
    forms = [secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], shlex.quote(secret)]
    for form in forms:
        assert form.encode() not in redactor.mask(b"<" + form.encode() + b">")
    assert inner == b"" or len(inner) < 8 or inner not in redactor.mask(encoded)


@pytest.mark.parametrize("lead", ["", "u", "us", "user:", "a much longer name:"])
@pytest.mark.parametrize("tail", ["", "\n", "@h", "more"])
def test_base64_of_a_secret_with_something_around_it_is_masked(lead: str, tail: str) -> None:
    secret = "hunter2-is-the-secret"
    encoded = base64.b64encode(f"{lead}{secret}{tail}".encode()).decode()
    shown = Redactor([secret]).mask_text(f"Authorization: Basic {encoded}")
    assert "********" in shown
    rest = shown.removeprefix("Authorization: Basic ").replace("********", "")
    assert len(rest) <= len(encoded) - len(base64.b64encode(secret.encode())) + 8


def test_url_safe_base64_is_masked() -> None:
    secret = "??>>??>>??>>~~~"
    assert b"-" in base64.urlsafe_b64encode(secret.encode())
    assert Redactor([secret]).mask(base64.urlsafe_b64encode(secret.encode())) == MASK


def test_the_lines_of_broken_base64_are_masked() -> None:
    secret = "".join(chr(ord("a") + number % 26) for number in range(300))
    lines = base64.encodebytes(f"{secret}\n".encode()).splitlines()
    shown = Redactor([secret]).mask(b"\n".join(lines)).splitlines()
    assert all(line.startswith(MASK) and len(line) < len(MASK) + 6 for line in shown)


def test_the_lines_of_a_key_are_masked_each_on_its_own() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nab\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    shown = Redactor([key]).mask(b"  MIIEvQIBADANBgkq\r\nab\nx hkiG9w0BAQEFAASC y")
    assert shown == b"  ********\r\nab\nx ******** y"


def test_the_longest_of_several_secrets_wins() -> None:
    assert Redactor(["secret", "secret-longer"]).mask(b"secret-longer secret-long") == b"******** ********-long"


def test_a_secret_shorter_than_four_bytes_is_left_alone() -> None:
    assert spellings("abc") == (set(), set())
    assert Redactor(["abc", ""]).mask(b"abc") == b"abc"


def test_a_secret_that_is_no_text_is_masked() -> None:
    secret = b"\xff\xfe-key-\x80".decode(errors="surrogateescape")
    assert Redactor([secret]).mask(b"<\xff\xfe-key-\x80>") == b"<********>"


def test_quotes_as_shells_print_them_are_masked() -> None:
    for form in (b"'it'\\''s a secret'", b"it'\"'\"'s a secret", b"it\\'s a secret"):
        assert b"secret" not in Redactor(["it's a secret"]).mask(b"--token=" + form)


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    stream = RedactedStream(Redactor(["topsecret"]))
    assert stream.feed(b"a line\nto") == b"a line\n"
    assert stream.feed(b"p") == b""
    assert stream.feed(b" hat\n") == b"top hat\n"
    assert stream.feed(b"topsecre") == b""
    assert stream.feed(b"t!") == b"********!"


def test_a_sentence_is_masked() -> None:
    assert Redactor(["topsecret"]).mask_text("no such thing: topsecret ü\udcff") == "no such thing: ******** ü\ufffd"
