"""Messages of LSP on pipes: JSON-RPC, each behind a header with its length."""

import json
from collections.abc import Mapping
from typing import IO, Any

Message = Mapping[str, Any]

MESSAGE_BYTES_MAX = 16 * 1024**2
HEADER_BYTES_MAX = 4096
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


class ProtocolError(Exception):
    """The stream cannot be read further. The text says why."""


class MalformedMessageError(Exception):
    """The content of a message is no JSON object; the next message can be read."""


def read_message(stream: IO[bytes]) -> Message | None:
    """The next message; None at the end of the stream. Raises ProtocolError and MalformedMessageError."""
    size = _content_bytes(stream)
    if size is None:
        return None
    if not 0 <= size <= MESSAGE_BYTES_MAX:
        raise ProtocolError(f"a message needs a Content-Length of at most {MESSAGE_BYTES_MAX} bytes before it")
    try:
        content = json.loads(stream.read(size))
    except (ValueError, RecursionError) as error:
        raise MalformedMessageError(str(error)) from None
    if not isinstance(content, dict):
        raise MalformedMessageError("a message is one object")
    return content


def _content_bytes(stream: IO[bytes]) -> int | None:
    """What the header of the next message says; -1 where it says nothing, None at the end of the stream."""
    size, header_bytes = -1, 0
    while line := stream.readline(HEADER_BYTES_MAX + 1):
        header_bytes += len(line)
        if header_bytes > HEADER_BYTES_MAX:
            raise ProtocolError(f"the header of a message has more than {HEADER_BYTES_MAX} bytes")
        if not line.strip():
            return size
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            size = int(value)
    return None


def write_message(stream: IO[bytes], message: Message) -> None:
    """Writes one message."""
    content = json.dumps({"jsonrpc": "2.0", **message}).encode()
    stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
    stream.flush()
