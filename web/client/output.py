"""Logs on standard output."""

import codecs
import sys
from collections.abc import Callable

from pipelines.visible import visible


def to_output() -> Callable[[bytes], None]:
    """Writes bytes as they are; in a terminal such that they cannot move the cursor."""
    if not sys.stdout.isatty():

        def write(data: bytes) -> None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

        return write
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def show(data: bytes) -> None:
        sys.stdout.write(visible(decoder.decode(data)))
        sys.stdout.flush()

    return show
