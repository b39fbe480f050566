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


def test_a_line_of_a_secret_has_at_least_eight_bytes() -> None:
    secret = "12345678\n1234abc\nand a long one"
    assert masked(secret, "<12345678>") == b"<" + MASK + b">"
    assert masked(secret, "<1234abc>") == b"<1234abc>"
    assert masked(secret, "  and a long one") == b"  " + MASK


def test_base64_of_a_secret_is_hidden_from_eight_characters_on() -> None:
    six, five = base64.b64encode(b"secret"), base64.b64encode(b"secre")
    assert len(six) == 8
    assert masked("secret", six) == MASK
    assert masked("secre", five) == five


def test_the_last_line_of_broken_base64_is_hidden_from_eight_characters_on() -> None:
    def broken(secret: str) -> bytes:
        """As the program ``base64`` prints it: 76 characters a line."""
        text = base64.b64encode(secret.encode())
        return text[:76] + b"\n" + text[76:]

    secret = ("0123456789abcdefghijklmnopqrstuvwxyz" * 2)[:63]
    assert masked(secret, broken(secret)) == MASK + b"\n" + MASK
    assert masked(secret[:60], broken(secret[:60])) == MASK + b"\n" + base64.b64encode(secret[57:60].encode())
