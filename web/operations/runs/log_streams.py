"""What a step wrote to one stream: standard output or standard error, or what Headway noted in its log."""

from collections.abc import Iterator
from dataclasses import replace

from runner.events import Stream
from web.operations.runs.log_parts import LogPart, StepLogAddress
from workers.logs import LogReader, LogStore
from workers.logs.interface import CHUNKS_MAX

_PIECE_BYTES = 1024**2


def part_from(logs: LogStore, address: StepLogAddress, stream: Stream, part: LogPart) -> LogPart:
    """The part with only those of its bytes that came from the stream; its place in the whole log stays."""
    with logs.open(*address) as reader:
        return replace(part, data=only_from(reader, stream, part.offset, part.data))


def pieces_from(logs: LogStore, address: StepLogAddress, stream: Stream) -> Iterator[bytes]:
    """All that came from the stream, in pieces."""
    with logs.open(*address) as reader:
        offset = 0
        while offset < reader.size_bytes:
            data = reader.read(offset, _PIECE_BYTES)
            if not data:
                return
            if kept := only_from(reader, stream, offset, data):
                yield kept
            offset += len(data)


def only_from(reader: LogReader, stream: Stream, offset: int, data: bytes) -> bytes:
    """Those of the bytes that came from the stream; they are in the log from ``offset`` on."""
    view, end = memoryview(data), offset + len(data)
    return b"".join(view[first - offset : last - offset] for first, last in ranges(reader, stream, offset, end))


def ranges(reader: LogReader, stream: Stream, offset: int, end: int) -> Iterator[tuple[int, int]]:
    """Where between two bytes of the log output of the stream is. The reader lists so many chunks at a time."""
    while offset < end:
        chunks = reader.chunks(offset, end - offset)
        if not chunks:
            return
        ends = [*(chunk.offset for chunk in chunks[1:]), end]
        if len(chunks) == CHUNKS_MAX:
            ends[-1] = chunks[-1].offset
        for chunk, chunk_end in zip(chunks, ends, strict=True):
            if chunk.stream is stream and chunk_end > offset:
                yield max(chunk.offset, offset), chunk_end
        offset = ends[-1]
