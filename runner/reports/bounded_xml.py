"""Reads XML that may be hostile: no entities, bounded depth and tokens, piece by piece."""

from collections.abc import Callable, Iterable
from xml.parsers.expat import ExpatError, ParserCreate, XMLParserType

PIECE_BYTES = 64 * 1024
DEPTH_MAX = 100
TOKEN_BYTES_MAX = 1024**2
"""A tag or a comment that is longer is not read on: the parser keeps it whole, and reads it again for each piece."""


class ReportError(Exception):
    """A report cannot be read on, and the end of a sentence about it."""


class Handler:
    """Takes the elements of one document. Text comes only after ``listen``.

    The methods are called by the parser itself, for there may be millions of calls; so ``start`` must call ``enter``
    or count ``depth`` itself, and ``end`` must count it down.
    """

    parser: XMLParserType
    depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """An element ends."""
        raise NotImplementedError

    def enter(self) -> None:
        """Counts an element that begins. Raises ReportError."""
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise ReportError(f"its elements are nested deeper than {DEPTH_MAX}")

    def text(self, data: str) -> None:
        """A part of the text between tags."""

    def listen(self, *, wanted: bool) -> None:
        """From here on text comes, or no longer."""
        self.parser.CharacterDataHandler = self.text if wanted else None


def read_xml(pieces: Iterable[bytes], handler: Handler, check: Callable[[], None]) -> None:
    """Reads a document. ``check`` is called for each piece. Raises ReportError; what came before has been handled."""
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
    parser.StartDoctypeDeclHandler = _doctype
    parser.EntityDeclHandler = _entity
    handler.parser = parser
    fed, size = 0, 0
    try:
        for whole in pieces:
            for start in range(0, len(whole), PIECE_BYTES):
                check()
                piece = whole[start : start + PIECE_BYTES]
                size += len(piece)
                parser.Parse(piece)
                fed = max(fed, parser.CurrentByteIndex)
                if size - fed > TOKEN_BYTES_MAX:
                    raise ReportError(f"a tag or comment in it has more than {TOKEN_BYTES_MAX:,} bytes")
        parser.Parse(b"", True)  # noqa: FBT003 - as its author has it
    except ExpatError as error:
        raise ReportError(f"it is no complete XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that does not exist, or is none of text
        raise ReportError(f"its encoding cannot be read: {error}") from None
    finally:
        handler.listen(wanted=False)
        del handler.parser  # they would keep each other in memory


def _doctype(_name: str, _system: str | None, _public: str | None, has_internal_subset: int) -> None:
    if has_internal_subset:
        raise ReportError("it declares a document type of its own, and none is read")


def _entity(*_: object) -> None:
    raise ReportError("it declares entities, and none are read")
