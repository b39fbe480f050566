"""The forms in which common tools print a secret: plain, in lines, escaped for URLs, JSON, HTML or shells, encoded."""

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

SECRET_BYTES_MIN = 4
"""Shorter values, lines and encodings ("e", "no", "1") are not masked: that would blank half of every log."""
PART_BYTES_MAX = 256
"""Longer forms are masked in parts of this size. So the work for a byte of output does not grow with a secret."""
JSON_BYTES_MAX = 64 * 1024
"""The values of larger JSON are not looked for. A server's secrets are not larger."""

# What a JSON text, or `echo` of a shell, has for a character.
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([nrtbfv"\\/]))')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}
# What `encodeURIComponent`, `encodeURI`, Go's user information and Python leave as it is.
_SAFE_IN_URLS = ("", "/", "!'()*", ";/?:@&=+$,#!'()*", "$&+,;=")
_PERCENT = re.compile("%[0-9A-F]{2}")
_UNICODE = re.compile(r"\\u[0-9a-f]{4}")
_LATIN = re.compile(r"\\u00([0-9a-f]{2})")
_ESCAPE_CODE = re.compile(r"(\\[xuU])([0-9a-f]+)")
_ASCII_END = 0x80
_FOR_BASH = re.compile(r"""[\s!"$&'()*,;<>?\[\\\]^`{|}]""")
_FOR_DOUBLE_QUOTES = re.compile(r'["$`\\]')
_FOR_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_ANSI_C = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\E"}
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# YAML, SQL and PowerShell double a single quote, CSV a double one, Compose and Make a dollar.
_DOUBLED = ("'", '"', "$")


class Spellings(NamedTuple):
    """The forms of a secret. Those that are ``packed`` have no white space, and may have some anywhere in a log."""

    plain: set[bytes]
    packed: set[bytes]


def spellings(secret: str) -> Spellings:
    """The forms in which a secret may be printed."""
    texts = {secret, secret.strip(), secret.rstrip("\r\n")}
    plain = {form for text in texts for form in _escaped(text)}
    plain |= {line for text in (secret, *_unescaped(secret)) for line in _lines(text)}
    packed = {form for text in texts for form in _encoded(_bytes(text))}
    return Spellings(_parts_of(map(_bytes, plain)), _parts_of(packed))


def shown_in_logs(secret: str) -> str:
    """What of a secret logs show because it is too short, as a sentence without a full stop; empty if nothing is."""
    few = f"fewer than {SECRET_BYTES_MIN} bytes"
    if (size := len(_bytes(secret.strip()))) < SECRET_BYTES_MIN:
        return f"it has {size} bytes, and logs show values of {few}: masking them would blank half of every log"
    short = [line for line in map(str.strip, secret.splitlines()) if line and len(_bytes(line)) < SECRET_BYTES_MIN]
    return f"{len(short)} of its lines {'has' if len(short) == 1 else 'have'} {few}: logs show them" if short else ""


def _bytes(text: str) -> bytes:
    # A secret from an environment variable may have bytes that are no UTF-8; JSON may bring other lone surrogates.
    return text.encode(errors="surrogateescape" if not re.search("[\ud800-\udc7f\udd00-\udfff]", text) else "replace")


def _parts_of(forms: Iterable[bytes]) -> set[bytes]:
    return {part for form in forms if len(form) >= SECRET_BYTES_MIN for part in _parts(form)}


def _parts(form: bytes) -> Iterator[bytes]:
    """The form, or its parts if it is long. Each overlaps the next by a byte, so that one mask covers them all."""
    last = max(0, len(form) - PART_BYTES_MAX)
    for start in (*range(0, last, PART_BYTES_MAX - 1), last):
        yield form[start : start + PART_BYTES_MAX]


def _lines(text: str) -> Iterator[str]:
    """The lines on their own, without the white space around them, which tools change."""
    for line in text.splitlines():
        yield line.strip()


def _unescaped(secret: str) -> Iterator[str]:
    """What shells and JSON tools make of a secret with escapes, such as a key with ``\\n`` in JSON; its values."""
    if "\\" in secret:
        yield _ESCAPE.sub(_meaning, secret)
        yield secret.replace("\\n", "\n").replace("\\r", "\r")
    if secret.lstrip()[:1] in {"{", "["} and len(secret) <= JSON_BYTES_MAX:
        try:
            yield from _values(json.loads(secret))
        except (ValueError, RecursionError):
            return


def _meaning(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return _ESCAPED.get(escape[2], escape[2])


def _values(document: object) -> Iterator[str]:
    """The texts in a JSON document; deeper than Python calls itself there is none, for it was not read."""
    waiting = [document]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as members:
                waiting += members.values()
            case list() as members:
                waiting += members
            case _:  # numbers and the like
                pass


def _escaped(text: str) -> Iterator[str]:
    """The text as it is, and escaped for where it is printed."""
    yield text
    for safe in _SAFE_IN_URLS:
        for quoted in (quote, quote_plus):
            form = quoted(text, safe=safe, errors="surrogateescape")
            yield from (form, _PERCENT.sub(lambda found: found[0].lower(), form))
    yield from _in_json(text)
    yield from _in_shells(text)
    yield html.escape(text, quote=False)
    yield html.escape(text)
    yield html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield html.escape(text).replace("&#x27;", "&apos;")
    yield repr(text)[1:-1]


def _in_json(text: str) -> Iterator[str]:
    for ascii_only in (False, True):
        form = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for each in (form, form.replace("/", "\\/"), form.translate(_FOR_HTML)):  # PHP, Go
            yield each
            yield _UNICODE.sub(lambda found: f"\\u{found[0][2:].upper()}", each)


def _in_shells(text: str) -> Iterator[str]:
    yield shlex.quote(text)
    for mark in ("'\\''", "'\"'\"'", "\\'"):
        yield text.replace("'", mark)
    for mark in _DOUBLED:
        yield text.replace(mark, mark * 2)
    yield _FOR_BASH.sub(r"\\\g<0>", text)  # printf %q
    yield _FOR_DOUBLE_QUOTES.sub(r"\\\g<0>", text)  # export -p
    yield (ansi_c := "".join(_ANSI_C.get(char, char) for char in text))  # $'...'
    if not text.isascii():
        yield from _in_ascii(text, ansi_c)


def _in_ascii(text: str, ansi_c: str) -> Iterator[str]:
    """A text with other characters, as programs print it that take no locale for one: in most images there is none."""
    yield "".join(chr(byte) if byte < _ASCII_END else f"\\{byte:03o}" for byte in _bytes(ansi_c))  # bash, git
    yield repr(_bytes(text))[2:-1]
    for form in (ascii(text)[1:-1], json.dumps(text)[1:-1]):
        for each in (form, _LATIN.sub(r"\\x\1", form)):  # YAML has \xE4, as Python
            yield from (each, _ESCAPE_CODE.sub(lambda found: found[1] + found[2].upper(), each))


def _encoded(raw: bytes) -> Iterator[bytes]:
    """Base64 and hexadecimal digits."""
    if len(raw) >= SECRET_BYTES_MIN:
        yield from _base64_spellings(raw)
        for digits in (raw.hex(), raw.hex(":")):  # OpenSSL has colons
            yield from (digits.encode(), digits.upper().encode())


def _base64_spellings(raw: bytes) -> Iterator[bytes]:
    """Base64 at its three alignments, without the characters that depend on neighbouring bytes.

    Tools often encode ``user:secret``, so the secret starts at byte 0, 1 or 2 of a group of three. The first and last
    characters of the encoding contain bits of the neighbouring bytes and are left out.
    """
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw)
        start = (0, 2, 3)[lead]
        end = len(text) - (0, 3, 2)[(lead + len(raw)) % 3]
        yield from (core := text[start:end], core.translate(_URL_SAFE))
