"""Searches a stored log for a text."""

from web.operations.runs.log_parts import StepLogAddress
from workers.logs import LogStore

FOUND_MAX = 1_000
_PIECE_BYTES = 256 * 1024


def search(
    logs: LogStore, address: StepLogAddress, text: str, piece_bytes: int = _PIECE_BYTES
) -> tuple[list[int], bool]:
    """The numbers of the lines that contain ``text``, and whether there may be more; a to z match either case."""
    wanted, lines, line, last = text.encode().lower(), list[int](), 1, b""
    with logs.open(*address) as reader:
        for offset in range(0, reader.size_bytes, piece_bytes):
            # A match may begin in one piece and end in the next.
            data, at = last + reader.read(offset, piece_bytes).lower(), 0
            while (found := data.find(wanted, at)) >= 0:
                line += data.count(b"\n", at, found)
                if line not in lines[-1:]:
                    lines.append(line)
                if len(lines) == FOUND_MAX:
                    return lines, True
                # Continue at the next line; where this piece has none, at the next piece.
                at = data.find(b"\n", found) % (len(data) + 1)
            last = data[max(at, len(data) - len(wanted) + 1) :]
            line += data.count(b"\n", at, len(data) - len(last))
    return lines, False
