"""Webhooks as HTML forms send them: the JSON is the field ``payload``. GitHub does so unless told otherwise."""

from binascii import a2b_qp
from collections.abc import Mapping

_FORM = "application/x-www-form-urlencoded"
_FIELD = b"payload="


def json_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON of a delivery: of a form its field ``payload``, else the body itself.

    Programs such as curl send the content type of a form by default: without that field the body is not one.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        return body
    field = next((field for field in body.split(b"&") if field.startswith(_FIELD)), None)
    return body if field is None else _decoded(field[len(_FIELD) :])


def _decoded(value: bytes) -> bytes:
    """``%7B`` and ``+`` decoded. Before the signature is checked anybody may send megabytes: no loop in Python.

    Quoted-printable, which the standard library decodes quickly, is the same with another sign.
    """
    plain = value.translate(None, b"\r\n").replace(b"=", b"=3D").replace(b"+", b" ").replace(b"%", b"=")
    return a2b_qp(plain)
