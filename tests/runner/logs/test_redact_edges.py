"""The limits of masking: what is just long enough is hidden whole, what is a byte shorter stays readable."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from runner.logs.redact import MASK, Redactor


def masked(secret: str, data: bytes | str) -> bytes:
    return Redactor([secret]).mask(data if isinstance(data, bytes) else data.encode())


@pytest.mark.parametrize("secret", ['p"äss/w&rd', "tab\tand\nnewline", "back\\slash+plus", " spaces at both ends "])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_in_json_is_hidden_whole(secret: str, ascii_only: bool) -> None:
    assert masked(secret, json.dumps(secret, ensure_ascii=ascii_only)) == b'"' + MASK + b'"'
    trimmed = json.dumps(secret.strip(), ensure_ascii=ascii_only)
    assert masked(secret, trimmed) == b'"' + MASK + b'"'


@pytest.mark.parametrize("secret", ['p"äss/w&rd', "tab\tand\nnewline", "back\\slash+plus", " spaces at both ends "])
def test_a_secret_in_an_address_is_hidden_whole(secret: str) -> None:
    for form in (
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret.strip(), safe=""),
        quote_plus(secret.strip()),
    ):
        assert masked(secret, f"?q={form}&") == b"?q=" + MASK + b"&"


def test_a_secret_has_at_least_four_bytes() -> None:
    assert masked("abcd", "<abcd>") == b"<" + MASK + b">"
    assert masked("abc", "<abc>") == b"<abc>"


def test_a_line_of_a_secret_has_the_same_bound_as_a_secret_of_one_line() -> None:
    secret = "admin\nhunt3r2\n1234\n123\nand a long one"
    for line in ("admin", "hunt3r2", "1234"):
        assert masked(secret, f"<{line}>") == b"<" + MASK + b">"
    assert masked(secret, "<123>") == b"<123>"
    assert masked(secret, "  and a long one") == b"  " + MASK


def test_base64_of_a_secret_has_the_same_bound() -> None:
    assert masked("abcd", base64.b64encode(b"abcd")) == MASK + b"A=="
    assert masked("abc", base64.b64encode(b"abc")) == base64.b64encode(b"abc")
