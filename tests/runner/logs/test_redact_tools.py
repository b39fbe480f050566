"""What common tools make of a secret is masked: each is run, or its form is written down as it prints it."""

import base64
import json
import shlex
import shutil
import subprocess
from textwrap import wrap

import pytest

from runner.logs.redact import MASK, RedactedStream, Redactor

KEY_LINES = ["-----BEGIN PRIVATE KEY-----", *wrap(base64.b64encode(bytes(range(7, 207))).decode(), 64),
             "-----END PRIVATE KEY-----"]  # fmt: skip
KEY = "\n".join(KEY_LINES) + "\n"
ACCOUNT = json.dumps({"type": "service_account", "private_key": KEY, "nested": [{"client_id": "1234-abcd"}]}, indent=2)
SPECIAL = "p\"ä'ss/w&rd<1>$x`y\\z !;*"


def masked(secret: str, data: str | bytes) -> str:
    """The log in one piece; in small pieces it must be the same."""
    raw = data.encode() if isinstance(data, str) else data
    redactor = Redactor([secret])
    stream = RedactedStream(redactor)
    whole = redactor.mask(raw)
    pieces = b"".join([*(stream.feed(raw[at : at + 7]) for at in range(0, len(raw), 7)), stream.flush()])
    assert pieces == whole
    return whole.decode(errors="replace")


def said(*command: str, data: str = "", **env: str) -> bytes:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    known = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env}
    return subprocess.run(command, input=data.encode(), env=known, capture_output=True, check=True).stdout


def test_the_key_in_a_service_account_whose_escapes_became_lines() -> None:
    compact = json.dumps(json.loads(ACCOUNT))
    for secret in (ACCOUNT, compact):
        for text in (secret.replace("\\n", "\n"), KEY, f"  key: |\n    {KEY.replace(chr(10), chr(10) + '    ')}"):
            shown = masked(secret, text)
            assert not [line for line in KEY_LINES if line in shown], shown
        assert masked(secret, "id=1234-abcd") == "id=********"


def test_what_a_shells_echo_makes_of_escapes() -> None:
    secret = "first line\\nsecond\\tline\\\\end"
    for shell in ("dash", "sh"):
        shown = masked(secret, said(shell, "-c", 'echo "$S"', S=secret))
        assert "second" not in shown
        assert "first" not in shown


@pytest.mark.parametrize("width", [1, 3, 20, 60, 64, 70, 72, 76, 77, 100, 1000])
@pytest.mark.parametrize("lead", range(4))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n      "])
def test_base64_of_any_width_anywhere_in_a_longer_text(width: int, lead: int, newline: str) -> None:
    for secret in ("hunter2-and-more", KEY):
        text = base64.b64encode(b"{" * lead + secret.encode() + b"}, and the rest of it").decode()
        shown = masked(secret, newline.join(wrap(text, width)))
        start, end = (lead + 2) * 4 // 3, (lead + len(secret)) * 4 // 3
        assert text[start : end - 2] not in "".join(shown.split())
        left = "".join(shown.replace(MASK.decode(), "").split())
        assert len(left) <= len(text) - (end - start) + 4


@pytest.mark.parametrize("wrapped", [[], ["-w0"], ["-w60"], ["-w64"], ["-w70"], ["-w1"]])
def test_the_program_base64(wrapped: list[str]) -> None:
    secret = "a-secret-of-some-length" * 9
    for end in ("", "\n"):
        shown = masked(secret, said("base64", *wrapped, data=secret + end))
        assert len("".join(shown.split())) < len(MASK) + 6


def test_the_programs_openssl_xxd_and_od() -> None:
    secret = "a-secret-of-some-length" * 5
    for command in (["openssl", "base64"], ["openssl", "base64", "-A"], ["xxd", "-p"], ["xxd", "-p", "-u"],
                    ["od", "-An", "-v", "-tx1"]):  # fmt: skip
        shown = masked(secret, said(*command, data=secret))
        assert len(shown.split()) <= 2, shown
        assert shown.strip().startswith(MASK.decode())


@pytest.mark.parametrize(
    "form",
    [
        json.dumps(SPECIAL), json.dumps(SPECIAL, ensure_ascii=False),
        json.dumps(SPECIAL, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        json.dumps(SPECIAL).replace("/", "\\/"), json.dumps(SPECIAL).replace("\\u00e4", "\\u00E4"),
        repr(SPECIAL), shlex.quote(SPECIAL), "p%22%C3%A4'ss%2Fw%26rd%3C1%3E%24x%60y%5Cz%20!%3B*",
        "p%22%c3%a4%27ss%2fw%26rd%3c1%3e%24x%60y%5cz+%21%3b%2a",
        "p%22%C3%A4%27ss/w%26rd%3C1%3E%24x%60y%5Cz%20%21%3B%2A",
        "p&quot;ä&#x27;ss/w&amp;rd&lt;1&gt;$x`y\\z !;*", "p&#34;ä&#39;ss/w&amp;rd&lt;1&gt;$x`y\\z !;*",
        "p\"ä'ss/w&amp;rd&lt;1&gt;$x`y\\z !;*",
    ],
)  # fmt: skip
def test_the_forms_of_json_python_urls_and_html(form: str) -> None:
    shown = masked(SPECIAL, f"value={form}.")
    assert shown.strip("'\"value=.") == MASK.decode(), shown


@pytest.mark.parametrize("shell", ["bash", "dash", "sh"])
@pytest.mark.parametrize("script", ['printf "%q\n" "$S"', "export -p | grep S=", 'set -x; : "$S"', "set | grep ^S="])
@pytest.mark.parametrize("secret", [SPECIAL, "with'one quote", "tab\tand space", "plain-and-simple"])
def test_the_forms_of_shells(shell: str, script: str, secret: str) -> None:
    if "%q" in script and shell != "bash":
        pytest.skip("this shell has no %q")
    shown = masked(secret, said(shell, "-c", f"exec 2>&1; {script}", S=secret))
    assert MASK.decode() in shown, shown


def test_jq() -> None:
    for filter_ in (".s", "@json", "@uri", "@base64", "@sh", "@html"):
        wanted = ".s" if filter_ == ".s" else f".s | {filter_}"
        shown = masked(SPECIAL, said("jq", "-r", wanted, data=json.dumps({"s": SPECIAL})))
        assert MASK.decode() in shown, shown


def test_ordinary_output_is_not_held_back_for_long() -> None:
    stream = RedactedStream(Redactor(["hunter2-and-more"]))
    text = b"a line of output with spaces and\n" * 100
    assert len(stream.feed(text)) > len(text) - 20
    spaces = b"aHVu" + b" " * 100_000
    assert len(stream.feed(spaces)) > len(spaces) - 2_000


def test_doubled_quotes_and_dollars() -> None:
    secret = 'it\'s "my" $ecret'
    for mark in "'\"$":
        assert masked(secret, f"a: <{secret.replace(mark, mark * 2)}>") == f"a: <{MASK.decode()}>"


def test_other_characters_than_ascii_as_programs_without_a_locale_print_them() -> None:
    secret = "p\u00e4ssw\u00f6rd\u20ac\U0001f511z"
    for text in (ascii(secret), repr(secret.encode()), r'"p\xE4ssw\xF6rd\u20AC\U0001F511z"'):
        assert MASK.decode() in masked(secret, text), text
    quoted = said("bash", "-c", 'printf %q "$S"', S=secret, LC_ALL="C")
    assert b"\\303\\244" in quoted
    assert masked(secret, quoted) == "$'********'"


@pytest.mark.parametrize("fold", [15, 16, 1000])
def test_hexadecimal_digits_with_colons_in_lines_as_openssl_prints_them(fold: int) -> None:
    secret = "hunter2-and-much-more-than-one-line"
    digits = secret.encode().hex(":")
    for text in (digits, digits.upper()):
        lines = "\n    ".join(wrap(text, 3 * fold, break_on_hyphens=False))
        assert masked(secret, f"    {lines}\n") == "    ********\n"
